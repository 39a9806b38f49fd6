-- Lock ticks that are to start a run and have not: held back before, or made by a scheduler that does not know the workflow.
SELECT t.schedule, t.number, s.schedule_id, s.name, s.metadata::text AS metadata, t.kind, t.catch_up, t.scheduled_at,
       t.previous_at, t.fired_at, t.status, t.reason
FROM {prefix}schedules s
JOIN {prefix}schedule_ticks t ON t.schedule = s.id
WHERE s.namespace = %(namespace)s::text AND s.schedule_id = ANY (%(schedule_ids)s::text[])
  AND t.status IN ('ready', 'queued') AND t.status = 'ready' AND t.workflow_id = ''
ORDER BY t.schedule, t.number
LIMIT %(limit)s::bigint
FOR UPDATE OF t SKIP LOCKED

-- Runs of ticks that were cancelled by a scheduler that does not know the workflow: among the last ticks of each schedule.
SELECT s.schedule_id, t.workflow_id
FROM {prefix}schedules s
JOIN {prefix}schedule_ticks t ON t.schedule = s.id AND t.number >= s.ticks - %(last)s::bigint
JOIN {prefix}workflows w ON w.workflow_id = t.workflow_id
WHERE s.namespace = %(namespace)s::text AND s.schedule_id = ANY (%(schedule_ids)s::text[])
  AND s.overlap_policy = 'cancel_previous' AND t.status = 'cancelled' AND t.workflow_id <> ''
  AND w.status NOT IN (4 /* COMPLETED */, 5 /* FAILED */, 6 /* CANCELLED */)

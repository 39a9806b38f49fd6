-- The latest ticks of a schedule, the newest first; one row without a tick when it has none.
SELECT s.schedule_id, s.name, s.metadata::text AS metadata, t.number, t.kind, t.catch_up, t.scheduled_at, t.previous_at,
       t.fired_at, t.status, t.reason, NULLIF(t.workflow_id, '') AS workflow_id
FROM {prefix}schedules s
LEFT JOIN LATERAL (
    SELECT h.number, h.kind, h.catch_up, h.scheduled_at, h.previous_at, h.fired_at, h.status, h.reason,
           h.workflow_id
    FROM {prefix}schedule_ticks h
    WHERE h.schedule = s.id
    ORDER BY h.number DESC
    LIMIT %(limit)s::bigint
) AS t ON true
WHERE s.namespace = %(namespace)s::text AND s.schedule_id = %(schedule_id)s::text
ORDER BY t.number DESC

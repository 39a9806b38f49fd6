-- The backfill ticks of a schedule in [start, end), in the order of their fire times.
SELECT t.number, t.kind, t.catch_up, t.scheduled_at, t.previous_at, t.fired_at, t.status, t.reason,
       NULLIF(t.workflow_id, '') AS workflow_id
FROM {prefix}schedule_ticks t
WHERE t.schedule = %(id)s::bigint AND t.kind = 'backfill'
  AND t.scheduled_at >= %(range_start)s::timestamptz AND t.scheduled_at < %(range_end)s::timestamptz
ORDER BY t.scheduled_at

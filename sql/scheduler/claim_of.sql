-- Lease the oldest tick of one schedule that is ready.
UPDATE {prefix}schedule_ticks t
SET leased_until = clock_timestamp() + %(visibility_timeout)s::interval, receipt = %(receipt)s::bigint,
    deliveries = t.deliveries + 1
FROM {prefix}schedules s
WHERE t.ctid = (
    SELECT r.ctid
    FROM {prefix}schedule_ticks r
    WHERE r.schedule = (
        SELECT w.id
        FROM {prefix}schedules w
        WHERE w.namespace = %(namespace)s::text AND w.schedule_id = %(schedule_id)s::text
    )
      AND r.status IN ('ready', 'queued') AND r.status = 'ready' AND r.workflow_id IS NULL
      AND (r.leased_until IS NULL OR r.leased_until <= clock_timestamp())
    ORDER BY r.number
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
  AND s.id = t.schedule
RETURNING t.id, t.schedule, t.number, s.schedule_id, s.name, s.metadata::text AS metadata, t.kind, t.catch_up,
          t.scheduled_at, t.previous_at, t.fired_at, t.status, t.reason,
          t.receipt, t.deliveries

-- Lock the schedules that are due, the longest overdue first, and read them.
--
-- Correctness rests here and on the fire key, on no leader: a locked row is passed over by everybody else, and once it
-- has been moved on it is not due any more. A process that is stopped in the middle holds its locks for no longer than
-- a lease: then the server ends its session.
SELECT s.id, s.namespace, s.schedule_id, s.name, s.cron, s.every, s.rrule, s.timezone, s.overlap_policy, s.buffer_limit,
       s.max_catch_up, s.jitter, s.dst_gap, s.dst_fold, s.enabled, s.start_at, s.end_at, s.max_fires, s.pause_on_failure,
       s.metadata::text AS metadata, s.workflow, s.anchor_at, s.scheduled_at, s.due_at, s.last_scheduled_at, s.ticks,
       s.fires, s.missed, s.paused_at, s.pause_reason, s.error, s.created_at, s.updated_at,
       COALESCE(%(clock)s::timestamptz, clock_timestamp()) AS present
FROM {prefix}schedules s
WHERE s.namespace = %(namespace)s::text AND s.due_at <= COALESCE(%(clock)s::timestamptz, now())
  AND (%(ids)s::bigint[] IS NULL OR s.id = ANY (%(ids)s::bigint[]))
  AND (SELECT set_config('idle_in_transaction_session_timeout', %(patience)s::text, true)) IS NOT NULL
ORDER BY s.due_at
LIMIT %(limit)s::bigint
FOR UPDATE OF s SKIP LOCKED

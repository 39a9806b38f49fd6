-- Lock schedules by their ids, waiting for them, and read them. Patience is that of lock_due.sql; a caller's transaction
-- keeps its own.
SELECT s.id, s.namespace, s.schedule_id, s.name, s.cron, s.every, s.rrule, s.timezone, s.overlap_policy, s.buffer_limit,
       s.max_catch_up, s.jitter, s.dst_gap, s.dst_fold, s.enabled, s.start_at, s.end_at, s.max_fires, s.pause_on_failure,
       s.metadata::text AS metadata, s.workflow, s.anchor_at, s.scheduled_at, s.due_at, s.last_scheduled_at, s.ticks,
       s.fires, s.missed, s.paused_at, s.pause_reason, s.error, s.created_at, s.updated_at,
       COALESCE(%(clock)s::timestamptz, clock_timestamp()) AS present
FROM {prefix}schedules s
WHERE s.namespace = %(namespace)s::text AND s.schedule_id = ANY (%(schedule_ids)s::text[])
  AND (
      %(patience)s::text IS NULL
      OR (SELECT set_config('idle_in_transaction_session_timeout', %(patience)s::text, true)) IS NOT NULL
  )
ORDER BY s.id
FOR UPDATE OF s

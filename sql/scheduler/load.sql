-- Schedules of a namespace: one, or all, or those that are enabled or not.
SELECT s.id, s.namespace, s.schedule_id, s.name, s.cron, s.every, s.rrule, s.timezone, s.overlap_policy, s.buffer_limit,
       s.max_catch_up, s.jitter, s.dst_gap, s.dst_fold, s.enabled, s.start_at, s.end_at, s.max_fires, s.pause_on_failure,
       s.metadata::text AS metadata, s.workflow, s.anchor_at, s.scheduled_at, s.due_at, s.last_scheduled_at, s.ticks,
       s.fires, s.missed, s.paused_at, s.pause_reason, s.error, s.created_at, s.updated_at,
       COALESCE(%(clock)s::timestamptz, clock_timestamp()) AS present
FROM {prefix}schedules s
WHERE s.namespace = %(namespace)s::text
  AND (%(schedule_id)s::text IS NULL OR s.schedule_id = %(schedule_id)s::text)
  AND (%(enabled)s::boolean IS NULL OR s.enabled = %(enabled)s::boolean)
ORDER BY s.schedule_id

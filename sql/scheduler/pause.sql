-- Pause schedules; one that is paused already keeps its first reason.
UPDATE {prefix}schedules s
SET paused_at = COALESCE(s.paused_at, clock_timestamp()), due_at = NULL,
    pause_reason = CASE WHEN s.paused_at IS NULL THEN %(reason)s::text ELSE s.pause_reason END,
    updated_at = clock_timestamp()
WHERE s.namespace = %(namespace)s::text AND s.schedule_id = %(schedule_id)s::text
  AND (s.pause_on_failure OR NOT %(failed)s::boolean)
RETURNING s.id

-- Declare a schedule, anew or once more: what it has done so far stays, and so does a pause. An error is forgotten.
INSERT INTO {prefix}schedules AS s (
    namespace, schedule_id, name, cron, every, rrule, timezone, overlap_policy, buffer_limit, max_catch_up, jitter,
    dst_gap, dst_fold, enabled, start_at, end_at, max_fires, pause_on_failure, metadata, anchor_at, scheduled_at, due_at
) VALUES (
    %(namespace)s::text, %(schedule_id)s::text, %(name)s::text, %(cron)s::text, %(every)s::interval, %(rrule)s::text,
    %(timezone)s::text, %(overlap_policy)s::text, %(buffer_limit)s::integer, %(max_catch_up)s::integer,
    %(jitter)s::interval, %(dst_gap)s::text, %(dst_fold)s::text, %(enabled)s::boolean, %(start_at)s::timestamptz,
    %(end_at)s::timestamptz, %(max_fires)s::bigint, %(pause_on_failure)s::boolean, %(metadata)s::text::json,
    %(anchor_at)s::timestamptz, %(scheduled_at)s::timestamptz, %(due_at)s::timestamptz
)
ON CONFLICT (namespace, schedule_id) DO UPDATE
SET name = EXCLUDED.name, cron = EXCLUDED.cron, every = EXCLUDED.every, rrule = EXCLUDED.rrule,
    timezone = EXCLUDED.timezone, overlap_policy = EXCLUDED.overlap_policy, buffer_limit = EXCLUDED.buffer_limit,
    max_catch_up = EXCLUDED.max_catch_up, jitter = EXCLUDED.jitter, dst_gap = EXCLUDED.dst_gap,
    dst_fold = EXCLUDED.dst_fold, enabled = EXCLUDED.enabled, start_at = EXCLUDED.start_at, end_at = EXCLUDED.end_at,
    max_fires = EXCLUDED.max_fires, pause_on_failure = EXCLUDED.pause_on_failure, metadata = EXCLUDED.metadata,
    anchor_at = EXCLUDED.anchor_at, scheduled_at = EXCLUDED.scheduled_at, due_at = EXCLUDED.due_at, error = NULL,
    updated_at = clock_timestamp()
RETURNING s.id

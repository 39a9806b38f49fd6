-- Set a schedule aside that cannot be evaluated, with the reason: it is not due any more, and holds up nobody.
--
-- Moments that Python cannot read are removed, so that the row can be: to be looked at, and to be mended.
UPDATE {prefix}schedules s
SET error = %(error)s::text, due_at = NULL, updated_at = clock_timestamp(),
    scheduled_at = CASE WHEN s.scheduled_at BETWEEN r.low AND r.high THEN s.scheduled_at END,
    last_scheduled_at = CASE WHEN s.last_scheduled_at BETWEEN r.low AND r.high THEN s.last_scheduled_at END,
    start_at = CASE WHEN s.start_at BETWEEN r.low AND r.high THEN s.start_at END,
    end_at = CASE WHEN s.end_at BETWEEN r.low AND r.high THEN s.end_at END,
    anchor_at = CASE WHEN s.anchor_at BETWEEN r.low AND r.high THEN s.anchor_at ELSE clock_timestamp() END
FROM (VALUES (timestamptz '0002-01-01 00:00:00+00', timestamptz '9998-01-01 00:00:00+00')) AS r (low, high)
WHERE s.id = %(id)s::bigint AND s.due_at IS NOT NULL
RETURNING s.schedule_id

-- Set a schedule aside that cannot be evaluated, with the reason: it is not due any more, and holds up nobody.
UPDATE {prefix}schedules s
SET error = %(error)s::text, due_at = NULL, updated_at = clock_timestamp()
WHERE s.id = %(id)s::bigint AND s.due_at IS NOT NULL
RETURNING s.schedule_id

-- Let a schedule fire again that was paused or set aside. It is locked by this transaction.
UPDATE {prefix}schedules s
SET paused_at = NULL, pause_reason = NULL, error = NULL, scheduled_at = %(scheduled_at)s::timestamptz,
    due_at = %(due_at)s::timestamptz, updated_at = clock_timestamp()
WHERE s.id = %(id)s::bigint

-- Give a tick back whose lease is still held, to be handed out again after a while.
UPDATE {prefix}schedule_ticks t
SET receipt = NULL, leased_until = clock_timestamp() + %(delay)s::interval, reason = COALESCE(%(error)s::text, t.reason)
FROM {prefix}schedules s
WHERE t.schedule = %(schedule)s::bigint AND t.number = %(number)s::bigint AND t.receipt = %(receipt)s::bigint
  AND t.status = 'ready' AND t.leased_until > clock_timestamp() AND s.id = t.schedule
RETURNING s.pause_on_failure

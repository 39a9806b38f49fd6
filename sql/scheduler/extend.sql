-- Hold a tick for longer, from now on.
UPDATE {prefix}schedule_ticks t
SET leased_until = clock_timestamp() + %(seconds)s::interval
WHERE t.schedule = %(schedule)s::bigint AND t.number = %(number)s::bigint AND t.receipt = %(receipt)s::bigint
  AND t.status = 'ready' AND t.leased_until > clock_timestamp()
RETURNING t.number

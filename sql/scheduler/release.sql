-- Give a tick back that was not worked on, as if it had never been handed out.
UPDATE {prefix}schedule_ticks t
SET leased_until = NULL, receipt = NULL, deliveries = t.deliveries - 1
WHERE t.schedule = %(schedule)s::bigint AND t.number = %(number)s::bigint AND t.receipt = %(receipt)s::bigint
  AND t.status = 'ready'
RETURNING t.number

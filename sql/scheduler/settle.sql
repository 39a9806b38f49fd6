-- Settle a tick whose lease is still held; says whether others wait for it.
UPDATE {prefix}schedule_ticks t
SET status = 'settled', settled_at = clock_timestamp(), leased_until = NULL
WHERE t.schedule = %(schedule)s::bigint AND t.number = %(number)s::bigint AND t.receipt = %(receipt)s::bigint
  AND t.status = 'ready' AND t.leased_until > clock_timestamp()
RETURNING EXISTS (
    SELECT FROM {prefix}schedule_ticks q
    WHERE q.namespace = t.namespace AND q.schedule = t.schedule AND q.status = 'queued'
) AS followed

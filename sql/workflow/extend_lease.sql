-- Renew leases that are still held; those not returned are lost.
UPDATE {prefix}workflow_leases l
SET expires_at = clock_timestamp() + %(duration)s::interval
WHERE l.token = ANY ((SELECT %(tokens)s::uuid[])::uuid[])
RETURNING l.token::text AS token, l.expires_at

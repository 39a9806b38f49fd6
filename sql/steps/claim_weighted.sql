-- Lease the oldest tasks of levels that are drawn. See claim.
WITH {{steps/parts/open}}, {{steps/parts/weighted}}
UPDATE {prefix}step_queue q
SET claimed_by = %(me)s::text, claimed_at = clock_timestamp(), deliveries = q.deliveries + 1, lease = q.lease + 1
WHERE q.id = ANY (ARRAY(
    {{steps/parts/pick}}
))
  AND (SELECT set_config('synchronous_commit', 'off', true)) IS NOT NULL
RETURNING {{steps/parts/leased}}

-- Lease tasks of one queue so that its workflows take turns. See claim.
WITH RECURSIVE {{steps/parts/open}}, {{steps/parts/walk}}
UPDATE {prefix}step_queue q
SET claimed_by = %(me)s::text, claimed_at = clock_timestamp(), deliveries = q.deliveries + 1, lease = q.lease + 1
WHERE q.id = ANY (ARRAY(
    {{steps/parts/pick_in_turn}}
))
  AND (SELECT set_config('synchronous_commit', 'off', true)) IS NOT NULL
RETURNING {{steps/parts/leased}}

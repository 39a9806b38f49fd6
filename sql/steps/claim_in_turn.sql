-- Lease tasks of one queue so that its workflows take turns. See claim.
WITH RECURSIVE {{steps/parts/open}}, {{steps/parts/alive}}, {{steps/parts/walk}}
{{steps/parts/lease}}
WHERE q.ctid = ANY (ARRAY(
    {{steps/parts/pick_in_turn}}
))
  AND (SELECT set_config('synchronous_commit', 'off', true)) IS NOT NULL
RETURNING {{steps/parts/leased}}

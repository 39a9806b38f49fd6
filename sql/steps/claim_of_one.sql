-- Lease the first tasks of one queue. See claim.
WITH {{steps/parts/alive}}
{{steps/parts/lease}}
WHERE q.ctid = ANY (ARRAY(
    {{steps/parts/pick_of_one}}
))
  AND (SELECT set_config('synchronous_commit', 'off', true)) IS NOT NULL
RETURNING {{steps/parts/leased}}

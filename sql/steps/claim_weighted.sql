-- Lease the oldest tasks of levels that are drawn. See claim.
WITH {{steps/parts/open}}, {{steps/parts/alive}}, {{steps/parts/weighted}}
{{steps/parts/lease}}
WHERE q.ctid = ANY (ARRAY(
    {{steps/parts/pick}}
))
  AND (SELECT set_config('synchronous_commit', 'off', true)) IS NOT NULL
RETURNING {{steps/parts/leased}}

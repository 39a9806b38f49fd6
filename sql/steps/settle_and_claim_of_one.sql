-- Settle tasks and lease the next ones of one queue. See settle_and_claim.
WITH {{steps/parts/completed}}, {{steps/parts/alive}}, claimed AS (
    {{steps/parts/lease}}
    WHERE q.ctid = ANY (ARRAY(
        {{steps/parts/pick_of_one}}
    ))
    RETURNING {{steps/parts/leased}}
)
{{steps/parts/claimed_or_lost}}

-- Settle tasks and lease the next ones, as settle and claim_weighted do: one round trip, and one wait for the disk.
WITH {{steps/parts/completed}}, {{steps/parts/open}}, {{steps/parts/alive}}, {{steps/parts/weighted}}, claimed AS (
    {{steps/parts/lease}}
    WHERE q.ctid = ANY (ARRAY(
        {{steps/parts/pick}}
    ))
    RETURNING {{steps/parts/leased}}
)
{{steps/parts/claimed_or_lost}}

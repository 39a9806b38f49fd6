-- Settle tasks and lease the next ones, as settle and claim_in_turn do: one round trip, and one wait for the disk.
WITH RECURSIVE {{steps/parts/completed}}, {{steps/parts/open}}, {{steps/parts/alive}}, {{steps/parts/walk}}, claimed AS (
    {{steps/parts/lease}}
    WHERE q.ctid = ANY (ARRAY(
        {{steps/parts/pick_in_turn}}
    ))
    RETURNING {{steps/parts/leased}}
)
{{steps/parts/claimed_or_lost}}

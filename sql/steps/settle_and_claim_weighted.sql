-- Settle tasks and lease the next ones, as settle and claim_weighted do: one round trip, and one wait for the disk.
--
-- The rows without a workflow are the tasks that were settled.
WITH {{steps/parts/settled}}, {{steps/parts/open}}, {{steps/parts/weighted}}, claimed AS (
    UPDATE {prefix}step_queue q
    SET claimed_by = %(me)s::text, claimed_at = clock_timestamp(), deliveries = q.deliveries + 1, lease = q.lease + 1
    WHERE q.id = ANY (ARRAY(
        {{steps/parts/pick}}
    ))
    RETURNING {{steps/parts/leased}}
)
SELECT c.id, c.workflow_id, c.run, c.step_name, c.namespace, c.queue, c.priority, c.input, c.prev_results, c.attempt,
       c.deliveries, c.created_at, c.claimed_by, c.lease, c.concurrency_key, c.holds_seat, c.lane, c.definition
FROM claimed c
UNION ALL
SELECT s.id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM settled s

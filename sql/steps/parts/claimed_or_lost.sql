-- What was claimed; and without a lease the ids of the tasks that could not be settled: they are few.
SELECT c.id, c.lease, c.deliveries, c.concurrency_key, c.queue, c.priority, c.is_large, c.workflow_id, c.run, c.step_name,
       c.namespace, c.input, c.prev_results, c.attempt, c.created_at, c.claimed_by, c.holds_seat, c.lane, c.definition
FROM claimed c
UNION ALL
SELECT i.id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM unnest((SELECT %(ids)b::bigint[])) AS i (id)
WHERE i.id NOT IN (SELECT s.id FROM settled s)

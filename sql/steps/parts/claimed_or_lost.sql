-- What was claimed; and without a workflow the ids of the tasks that could not be settled: they are few.
SELECT c.id, c.workflow_id, c.run, c.step_name, c.namespace, c.queue, c.priority, c.input, c.prev_results, c.attempt,
       c.deliveries, c.created_at, c.claimed_by, c.lease, c.concurrency_key, c.holds_seat, c.lane, c.definition
FROM claimed c
UNION ALL
SELECT i.id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM unnest(%(ids)b::bigint[]) AS i (id)
WHERE i.id NOT IN (SELECT s.id FROM settled s)

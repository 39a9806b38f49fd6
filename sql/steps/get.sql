-- One task, wherever it stands.
SELECT q.id, q.workflow_id, q.run, q.step_name, q.namespace, q.queue, q.priority,
       CASE WHEN q.claimed_by IS NULL THEN 1 /* PENDING */ ELSE 2 /* RUNNING */ END AS status, q.attempt, q.deliveries,
       q.input::text AS input, q.prev_results::text AS prev_results, NULL::text AS result, q.error::text AS error,
       q.created_at, q.available_at, q.claimed_at, NULL::timestamptz AS completed_at, NULL::interval AS duration,
       q.claimed_by, q.concurrency_key, q.concurrency_limit
FROM {prefix}step_queue q
WHERE q.id = %(id)s::bigint
UNION ALL
SELECT h.id, h.workflow_id, h.run, h.step_name, h.namespace, h.queue, h.priority, h.status, h.attempt, h.deliveries,
       h.input::text, h.prev_results::text, h.result::text, h.error::text, h.created_at, NULL, h.claimed_at,
       h.completed_at, h.duration, h.claimed_by, h.concurrency_key, h.concurrency_limit
FROM {prefix}step_history h
WHERE h.id = %(id)s::bigint
UNION ALL
SELECT t.id, t.workflow_id, t.run, t.step_name, t.namespace, b.queue, t.priority, 4 /* COMPLETED */, t.attempt,
       t.deliveries, t.input::text, t.prev_results::text, t.result::text, NULL, t.created_at, NULL, t.claimed_at,
       b.completed_at, t.duration, b.claimed_by, t.concurrency_key, t.concurrency_limit
FROM {prefix}step_batches b
CROSS JOIN LATERAL unnest(b.tasks) AS t
WHERE b.span @> %(id)s::bigint AND b.ids @> ARRAY[%(id)s::bigint] AND t.id = %(id)s::bigint

-- What a claimer is told of a task.
q.id, q.lease, q.deliveries, q.concurrency_key, q.queue, q.priority,
{{steps/parts/is_large}} AS is_large,
q.workflow_id, q.run, q.step_name, q.namespace, q.input::text AS input, q.prev_results::text AS prev_results, q.attempt,
timestamptz_send(q.created_at) AS created_at, q.claimed_by, q.holds_seat, q.lane, q.definition

-- What a claimer is told of a task.
q.id, q.workflow_id, q.run, q.step_name, q.namespace, q.queue, q.priority, q.input::text AS input,
q.prev_results::text AS prev_results, q.attempt, q.deliveries, timestamptz_send(q.created_at) AS created_at, q.claimed_by,
q.lease, q.concurrency_key, q.holds_seat, q.lane, q.definition

-- Keep completed tasks, `e`, together.
INSERT INTO {prefix}step_batches (number, span, claimed_by, queue, ids, tasks)
SELECT count(*), int8range(min(e.id), max(e.id), '[]'), %(me)s::text, e.queue, array_agg(e.id), array_agg(
    ROW(
        e.id, e.run, e.priority, e.attempt, e.deliveries, e.concurrency_limit, e.created_at, e.claimed_at, e.duration,
        e.workflow_id, e.step_name, e.namespace, e.concurrency_key, e.input, e.prev_results, e.result
    )::{prefix}completed_task
)

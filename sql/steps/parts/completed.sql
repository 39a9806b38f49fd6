-- Move tasks that are completed, and not large, to the history. `results` and `durations` are parallel to `ids`, or NULL.
settled AS (
    DELETE FROM {prefix}step_queue q
    WHERE {{steps/parts/ours}}
    RETURNING q.id, q.queue, ROW(
        q.id, q.run, q.priority, q.attempt, q.deliveries, q.concurrency_limit, q.created_at, q.claimed_at,
        COALESCE(
            (%(durations)b::bigint[])[width_bucket(q.id, %(ids)b::bigint[])] * interval '1 microsecond',
            clock_timestamp() - q.claimed_at
        ),
        q.workflow_id, q.step_name, q.namespace, q.concurrency_key, q.input, q.prev_results,
        (%(results)b::text[])[width_bucket(q.id, %(ids)b::bigint[])]::json
    )::{prefix}completed_task AS task
), kept AS (
    {{steps/parts/batch}}
    FROM settled e
    GROUP BY e.queue
)

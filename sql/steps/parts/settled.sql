-- Move tasks that are done with to the history. `told_ids` are those of which there is more to say than that they are
-- completed.
--
-- A dead task without an error of its own was claimed once more only to be buried.
told AS MATERIALIZED (
    SELECT o.id, o.status, o.result, o.error, o.duration
    FROM unnest(
        (SELECT %(told_ids)b::bigint[]), (SELECT %(statuses)b::bigint[]), (SELECT %(results)b::text[]),
        (SELECT %(errors)b::text[]), (SELECT %(durations)b::bigint[])
    ) AS o (id, status, result, error, duration)
), settled AS (
    DELETE FROM {prefix}step_queue q
    WHERE {{steps/parts/ours}}
    RETURNING q.id, q.run, q.priority, q.attempt, q.deliveries, q.concurrency_limit, q.created_at, q.claimed_at,
              q.claimed_by, q.queue, q.workflow_id, q.step_name, q.namespace, q.concurrency_key, q.holds_seat, q.input,
              q.prev_results, q.error, {{steps/parts/is_large}} AS is_large
), ended AS (
    SELECT s.id, s.run, s.priority, s.attempt, s.concurrency_limit, s.created_at, s.claimed_at, s.claimed_by, s.queue,
           s.workflow_id, s.step_name, s.namespace, s.concurrency_key, s.input, s.prev_results,
           s.deliveries - CASE WHEN o.status = 9 /* DEAD */ AND o.error IS NULL THEN 1 ELSE 0 END AS deliveries,
           COALESCE(o.status, 4 /* COMPLETED */) AS status, o.result::json AS result,
           COALESCE(o.error::json, s.error) AS error,
           COALESCE(o.duration * interval '1 microsecond', clock_timestamp() - s.claimed_at) AS duration,
           COALESCE(o.status, 4 /* COMPLETED */) <> 4 /* COMPLETED */ OR s.is_large
               OR COALESCE(octet_length(o.result), 0) > 4000 AS is_kept_alone
    FROM settled s
    LEFT JOIN told o ON o.id = s.id
), kept_alone AS (
    INSERT INTO {prefix}step_history (
        id, run, priority, status, attempt, deliveries, concurrency_limit, created_at, claimed_at, duration, claimed_by,
        queue, workflow_id, step_name, namespace, concurrency_key, input, prev_results, result, error
    )
    SELECT
        e.id, e.run, e.priority, e.status, e.attempt, e.deliveries, e.concurrency_limit, e.created_at, e.claimed_at,
        e.duration, e.claimed_by, e.queue, e.workflow_id, e.step_name, e.namespace, e.concurrency_key, e.input,
        e.prev_results, e.result,
        CASE
            WHEN e.status <> 4 /* COMPLETED */ THEN COALESCE(
                e.error,
                json_build_object('type', 'Unsettled', 'message', 'claimed ' || e.deliveries || ' times and never settled')
            )
        END
    FROM ended e
    WHERE e.is_kept_alone
), kept AS (
    {{steps/parts/batch}}
    FROM (
        SELECT s.id, s.queue, ROW(
            s.id, s.run, s.priority, s.attempt, s.deliveries, s.concurrency_limit, s.created_at, s.claimed_at, s.duration,
            s.workflow_id, s.step_name, s.namespace, s.concurrency_key, s.input, s.prev_results, s.result
        )::{prefix}completed_task AS task
        FROM ended s
        WHERE NOT s.is_kept_alone
    ) AS e
    GROUP BY e.queue
)

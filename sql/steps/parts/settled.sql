-- Move what is done with to the history: of the tasks that are still ours.
--
-- Ours is what bears our name and the number of the lease that we were given, for as long as we are alive. A dead task
-- without an error of its own was claimed once more only to be buried. `ids` are sorted and each is there once: so its lease
-- is found by halves. (Numbers come as bigint[], so that no row has them converted.) `told_ids` are those of which there is
-- more to say than that they are completed.
told AS MATERIALIZED (
    SELECT o.id, o.status, o.result, o.error, o.duration
    FROM unnest(
        %(told_ids)b::bigint[], %(statuses)b::bigint[], %(results)b::text[], %(errors)b::text[], %(durations)b::bigint[]
    ) AS o (id, status, result, error, duration)
), settled AS (
    DELETE FROM {prefix}step_queue q
    WHERE q.id = ANY (%(ids)b::bigint[]) AND q.claimed_by = %(me)s::text
      AND q.lease = (%(leases)b::bigint[])[width_bucket(q.id, %(ids)b::bigint[])]
      AND EXISTS (SELECT FROM {prefix}workers w WHERE w.id = %(me)s::text AND w.expires_at > clock_timestamp())
    RETURNING q.id, q.run, q.priority, q.attempt, q.deliveries, q.concurrency_limit, q.created_at, q.claimed_at,
              q.claimed_by, q.queue, q.workflow_id, q.step_name, q.namespace, q.concurrency_key, q.holds_seat, q.input,
              q.prev_results, q.error
), kept AS (
    INSERT INTO {prefix}step_history (
        id, run, priority, status, attempt, deliveries, concurrency_limit, created_at, claimed_at, duration, claimed_by,
        queue, workflow_id, step_name, namespace, concurrency_key, input, prev_results, result, error
    )
    SELECT
        s.id, s.run, s.priority, COALESCE(o.status, 4 /* COMPLETED */), s.attempt,
        s.deliveries - CASE WHEN o.status = 9 /* DEAD */ AND o.error IS NULL THEN 1 ELSE 0 END, s.concurrency_limit,
        s.created_at, s.claimed_at,
        COALESCE(o.duration * interval '1 microsecond', clock_timestamp() - s.claimed_at), s.claimed_by, s.queue,
        s.workflow_id, s.step_name, s.namespace, s.concurrency_key, s.input, s.prev_results, o.result::json,
        CASE
            WHEN o.status <> 4 /* COMPLETED */ THEN COALESCE(
                o.error::json, s.error,
                json_build_object(
                    'type', 'Unsettled', 'message', 'claimed ' || (s.deliveries - 1) || ' times and never settled'
                )
            )
        END
    FROM settled s
    LEFT JOIN told o ON o.id = s.id
)

-- Append tasks, in their order; those whose place is taken are left out. Rings for every queue where a worker waits.
--
-- The ids come as one array, in any order, and where some were left out the places that they belong to beside them: rows
-- would take as long as an index.
-- The doors are tried once per statement, in an uncorrelated subquery. How it rings: see queue/publish.
WITH added AS (
    INSERT INTO {prefix}step_queue (
        run, priority, gate, concurrency_limit, available_at, queue, workflow_id, step_name, namespace, concurrency_key,
        input, prev_results
    )
    SELECT
        t.run, t.priority, CASE WHEN t.delay > interval '0' OR t.due_at > clock_timestamp() THEN 1 ELSE 0 END,
        t.concurrency_limit, COALESCE(t.due_at, clock_timestamp() + t.delay), t.queue, t.workflow_id, t.step_name,
        t.namespace, t.concurrency_key, t.input::json, t.prev_results::json
    FROM unnest(
        %(runs)b::integer[], %(priorities)b::smallint[], %(concurrency_limits)b::integer[], %(delays)b::interval[],
        %(due_ats)b::timestamptz[], %(queues)b::text[], %(workflow_ids)b::text[], %(step_names)b::text[],
        %(namespaces)b::text[], %(concurrency_keys)b::text[], %(inputs)b::text[], %(prev_results)b::text[]
    ) WITH ORDINALITY AS t (
        run, priority, concurrency_limit, delay, due_at, queue, workflow_id, step_name, namespace, concurrency_key,
        input, prev_results, number
    )
    ORDER BY t.number
    ON CONFLICT (lane, run, hashtextextended(step_name, 0), (definition IS NULL)) DO NOTHING
    RETURNING id, workflow_id, run, step_name
)
SELECT array_agg(a.id) AS ids, array_agg(a.workflow_id) FILTER (WHERE NOT n.is_all) AS workflow_ids,
       array_agg(a.run) FILTER (WHERE NOT n.is_all) AS runs, array_agg(a.step_name) FILTER (WHERE NOT n.is_all) AS step_names
FROM added a
CROSS JOIN (
    SELECT count(*) = cardinality(%(runs)b::integer[]) AS is_all
    FROM added
) AS n
WHERE (
    SELECT bool_and(CASE
                        WHEN NOT %(ring)s::boolean AND pg_try_advisory_xact_lock_shared(b.door) THEN true
                        ELSE pg_notify(b.channel, '') IS NOT NULL
                    END)
    FROM unnest(%(doors)s::bigint[], %(channels)s::text[]) AS b (door, channel)
)

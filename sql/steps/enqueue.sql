-- Append a task, unless one of this workflow, run and step is unfinished, and ring if a worker waits.
--
-- No row comes back when the place is taken. How it rings: see queue/publish.
WITH added AS (
    INSERT INTO {prefix}step_queue (
        run, priority, gate, concurrency_limit, available_at, queue, workflow_id, step_name, namespace, concurrency_key,
        input, prev_results
    )
    SELECT
        %(run)s::integer, %(priority)s::smallint, CASE WHEN d.due_at > clock_timestamp() THEN 1 ELSE 0 END,
        %(concurrency_limit)s::integer, d.due_at, %(queue)s::text, %(workflow_id)s::text, %(step_name)s::text,
        %(namespace)s::text, %(concurrency_key)s::text, %(input)s::text::json, %(prev_results)s::text::json
    FROM (
        SELECT COALESCE(%(due_at)s::timestamptz, clock_timestamp() + %(delay)s::interval) AS due_at
    ) AS d
    ON CONFLICT (lane, run, hashtextextended(step_name, 0), (definition IS NULL)) DO NOTHING
    RETURNING id
)
SELECT a.id
FROM added a
WHERE (SELECT CASE
                  WHEN NOT %(ring)s::boolean AND pg_try_advisory_xact_lock_shared(%(door)s::bigint) THEN true
                  ELSE pg_notify(%(channel)s::text, '') IS NOT NULL
              END)

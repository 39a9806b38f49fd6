-- Let dead tasks wait again, with all their deliveries, oldest first; those whose place is taken by a newer task stay dead.
WITH chosen AS MATERIALIZED (
    SELECT h.id
    FROM {prefix}step_history h
    WHERE h.status = 9 /* DEAD */ AND (%(queue)s::text IS NULL OR h.queue = %(queue)s::text)
      AND NOT EXISTS (
          SELECT
          FROM {prefix}step_queue q
          WHERE q.lane = hashtextextended(h.workflow_id, 0) AND q.run = h.run
            AND hashtextextended(q.step_name, 0) = hashtextextended(h.step_name, 0) AND (q.definition IS NULL) = true
      )
    ORDER BY h.id
    LIMIT %(limit)s::bigint
    FOR UPDATE SKIP LOCKED
), added AS (
    INSERT INTO {prefix}step_queue (
        id, run, priority, attempt, concurrency_limit, created_at, queue, workflow_id, step_name, namespace,
        concurrency_key, input, prev_results, error
    )
    OVERRIDING SYSTEM VALUE
    SELECT h.id, h.run, h.priority, h.attempt, h.concurrency_limit, h.created_at, h.queue, h.workflow_id, h.step_name,
           h.namespace, h.concurrency_key, h.input, h.prev_results, h.error
    FROM {prefix}step_history h
    JOIN chosen c ON c.id = h.id
    ORDER BY h.id
    ON CONFLICT DO NOTHING
    RETURNING id, queue, priority
), gone AS (
    DELETE FROM {prefix}step_history h
    USING added a
    WHERE h.id = a.id
)
SELECT a.id, a.queue, a.priority
FROM added a

-- Let delayed tasks whose moment has come wait for a worker, at their places; and say how long the next one has to wait.
--
-- The time is that of the statement: one that goes on while it runs (clock_timestamp) is no place in an index.
WITH promoted AS (
    UPDATE {prefix}step_queue q
    SET gate = 0
    WHERE q.id = ANY (ARRAY(
        SELECT t.id
        FROM {prefix}step_queue t
        WHERE t.gate = 1 AND t.available_at <= statement_timestamp()
        ORDER BY t.available_at
        LIMIT 10000
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING q.id
)
SELECT (SELECT count(*) FROM promoted) AS promoted,
       (
           SELECT t.available_at - statement_timestamp()
           FROM {prefix}step_queue t
           WHERE t.gate = 1 AND t.available_at > statement_timestamp()
           ORDER BY t.available_at
           LIMIT 1
       ) AS next_in

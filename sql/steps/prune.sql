-- Forget some finished tasks, the oldest; dead ones stay, to be redriven. Says how many: a batch goes whole.
WITH singles AS (
    DELETE FROM {prefix}step_history h
    WHERE h.ctid = ANY (ARRAY(
        SELECT o.ctid
        FROM {prefix}step_history o
        WHERE o.completed_at < statement_timestamp() - %(older_than)s::interval AND o.status <> 9 /* DEAD */
        LIMIT %(batch)s::bigint
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING 1
), batches AS (
    DELETE FROM {prefix}step_batches b
    WHERE b.ctid = ANY (ARRAY(
        SELECT c.ctid
        FROM (
            SELECT o.ctid, sum(o.number) OVER (ROWS UNBOUNDED PRECEDING) - o.number AS before
            FROM (
                SELECT a.ctid, a.number
                FROM {prefix}step_batches a
                WHERE a.completed_at < statement_timestamp() - %(older_than)s::interval
                LIMIT %(batch)s::bigint
            ) AS o
        ) AS c
        WHERE c.before < %(batch)s::bigint
    ))
    RETURNING b.number
)
SELECT (SELECT count(*) FROM singles) + (SELECT COALESCE(sum(b.number), 0) FROM batches b) AS pruned

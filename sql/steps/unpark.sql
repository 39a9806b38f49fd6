-- Let as many parked tasks wait for a worker as their keys have free seats: the first of each queue, because one queue may
-- have nobody who works on it. Who gets a seat is decided at the claim. They come back, to be rung for.
--
-- `keys` NULL looks at every key that tasks are parked for: what a crash left undone.
WITH RECURSIVE places (concurrency_key, queue) AS (
    (
        SELECT q.concurrency_key, q.queue
        FROM unnest(COALESCE(%(keys)s::text[], ARRAY[''])) AS k (concurrency_key)
        CROSS JOIN LATERAL (
            SELECT t.concurrency_key, t.queue
            FROM {prefix}step_queue t
            WHERE t.gate = 2 AND t.concurrency_key >= k.concurrency_key
              AND (%(keys)s::text[] IS NULL OR t.concurrency_key <= k.concurrency_key)
            ORDER BY t.concurrency_key, t.queue
            LIMIT 1
        ) AS q
    )
    UNION ALL
    SELECT q.concurrency_key, q.queue
    FROM places p
    CROSS JOIN LATERAL (
        SELECT t.concurrency_key, t.queue
        FROM {prefix}step_queue t
        WHERE t.gate = 2 AND (t.concurrency_key, t.queue) > (p.concurrency_key, p.queue)
          AND (%(keys)s::text[] IS NULL OR t.concurrency_key <= p.concurrency_key)
        ORDER BY t.concurrency_key, t.queue
        LIMIT 1
    ) AS q
), unparked AS (
    UPDATE {prefix}step_queue q
    SET gate = 0
    WHERE q.id = ANY (ARRAY(
        SELECT c.id
        FROM places p
        JOIN {prefix}step_limits l ON l.concurrency_key = p.concurrency_key
        CROSS JOIN LATERAL (
            SELECT t.id
            FROM {prefix}step_queue t
            WHERE t.gate = 2 AND (t.concurrency_key, t.queue) >= (p.concurrency_key, p.queue)
              AND (t.concurrency_key, t.queue) <= (p.concurrency_key, p.queue)
            ORDER BY t.concurrency_key, t.queue, t.priority DESC, t.id
            LIMIT GREATEST(l.seats - l.taken, 0)
            FOR UPDATE OF t SKIP LOCKED
        ) AS c
    ))
    RETURNING q.id, q.queue, q.priority
)
SELECT u.id, u.queue, u.priority
FROM unparked u

-- Let as many parked tasks wait for a worker as their keys have free seats: the first of each queue, because one queue may
-- have nobody who works on it. Who gets a seat is decided at the claim. They come back, to be rung for.
WITH RECURSIVE places (concurrency_key, queue) AS (
    SELECT k.concurrency_key, ''::text COLLATE "C"
    FROM unnest((SELECT %(keys)s::text[])) AS k (concurrency_key)
    UNION ALL
    SELECT p.concurrency_key, q.queue
    FROM places p
    CROSS JOIN LATERAL (
        SELECT t.queue
        FROM {prefix}step_queue t
        WHERE t.gate = 2 AND t.concurrency_key = p.concurrency_key AND t.queue > p.queue
        ORDER BY t.queue
        LIMIT 1
    ) AS q
), {{steps/parts/unparked}}
SELECT u.id, u.queue, u.priority
FROM unparked u

-- As unpark, for every key that tasks are parked for: what a crash left undone.
WITH RECURSIVE places (concurrency_key, queue) AS (
    (
        SELECT t.concurrency_key, t.queue
        FROM {prefix}step_queue t
        WHERE t.gate = 2
        ORDER BY t.concurrency_key, t.queue
        LIMIT 1
    )
    UNION ALL
    SELECT q.concurrency_key, q.queue
    FROM places p
    CROSS JOIN LATERAL (
        SELECT t.concurrency_key, t.queue
        FROM {prefix}step_queue t
        WHERE t.gate = 2 AND (t.concurrency_key, t.queue) > (p.concurrency_key, p.queue)
        ORDER BY t.concurrency_key, t.queue
        LIMIT 1
    ) AS q
), {{steps/parts/unparked}}
SELECT u.id, u.queue, u.priority
FROM unparked u

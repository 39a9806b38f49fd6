-- Let as many parked tasks of these places wait for a worker as their keys have free seats.
unparked AS (
    UPDATE {prefix}step_queue q
    SET gate = 0
    WHERE q.id = ANY (ARRAY(
        SELECT c.id
        FROM places p
        JOIN {prefix}step_limits l ON l.concurrency_key = p.concurrency_key
        CROSS JOIN LATERAL (
            SELECT t.id
            FROM {prefix}step_queue t
            WHERE t.gate = 2 AND t.concurrency_key = p.concurrency_key AND t.queue = p.queue
            ORDER BY t.concurrency_key, t.queue, t.priority DESC, t.id
            LIMIT GREATEST(l.seats - l.taken, 0)
            FOR UPDATE OF t SKIP LOCKED
        ) AS c
    ))
    RETURNING q.id, q.queue, q.priority
)

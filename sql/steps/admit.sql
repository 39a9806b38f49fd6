-- Seat tasks that were just leased, as far as their concurrency keys have seats; the others are parked until one is free.
--
-- The seats of a key are counted in its row, which is locked by the INSERT (or what it turns into), in the order of the keys.
-- What is parked is parked under that lock: whoever leaves a seat afterwards sees it.
WITH wanted AS MATERIALIZED (
    SELECT q.id, q.concurrency_key, q.concurrency_limit,
           row_number() OVER (PARTITION BY q.concurrency_key ORDER BY q.priority DESC, q.id) AS place
    FROM {prefix}step_queue q
    WHERE q.id = ANY (%(ids)b::bigint[]) AND q.claimed_by = %(me)s::text AND NOT q.holds_seat
), granted AS (
    INSERT INTO {prefix}step_limits AS l (concurrency_key, seats, taken, granted)
    SELECT w.concurrency_key, min(w.concurrency_limit), LEAST(count(*), min(w.concurrency_limit)),
           LEAST(count(*), min(w.concurrency_limit))
    FROM wanted w
    GROUP BY w.concurrency_key
    ORDER BY w.concurrency_key
    ON CONFLICT (concurrency_key) DO UPDATE
    SET seats = excluded.seats,
        taken = l.taken + GREATEST(LEAST(excluded.granted, excluded.seats - l.taken), 0),
        granted = GREATEST(LEAST(excluded.granted, excluded.seats - l.taken), 0)
    RETURNING l.concurrency_key, l.granted
), seated AS (
    UPDATE {prefix}step_queue q
    SET holds_seat = true
    FROM wanted w
    JOIN granted g ON g.concurrency_key = w.concurrency_key
    WHERE q.id = w.id AND q.id = ANY (%(ids)b::bigint[]) AND w.place <= g.granted
    RETURNING q.id
), parked AS (
    UPDATE {prefix}step_queue q
    SET claimed_by = NULL, claimed_at = NULL, deliveries = q.deliveries - 1, gate = 2
    FROM wanted w
    JOIN granted g ON g.concurrency_key = w.concurrency_key
    WHERE q.id = w.id AND q.id = ANY (%(ids)b::bigint[]) AND w.place > g.granted
)
SELECT s.id
FROM seated s

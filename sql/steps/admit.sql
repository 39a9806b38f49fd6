-- Seat tasks that were just leased, as far as their concurrency keys have seats; the others are parked until one is free.
--
-- The seats of a key are counted in its row, which is locked by the INSERT (or what it turns into), in the order of the keys.
-- What is parked is parked under that lock: whoever leaves a seat afterwards sees it. The tasks are locked before, as by who
-- settles: one that is taken over while this waits for a seat gets none.
WITH ours AS MATERIALIZED (
    SELECT q.id, q.priority, q.concurrency_key, q.concurrency_limit
    FROM {prefix}step_queue q
    WHERE q.id = ANY ((SELECT %(ids)b::bigint[])::bigint[]) AND q.claimed_by = %(me)s::text AND NOT q.holds_seat
    FOR UPDATE
), wanted AS MATERIALIZED (
    SELECT o.id, o.concurrency_key, o.concurrency_limit,
           row_number() OVER (PARTITION BY o.concurrency_key ORDER BY o.priority DESC, o.id) AS place
    FROM ours o
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
), placed AS MATERIALIZED (
    SELECT w.id, w.place <= g.granted AS is_seated
    FROM wanted w
    JOIN granted g ON g.concurrency_key = w.concurrency_key
), seated AS (
    UPDATE {prefix}step_queue q
    SET holds_seat = true
    WHERE q.id = ANY (ARRAY(SELECT p.id FROM placed p WHERE p.is_seated))
    RETURNING q.id
), parked AS (
    UPDATE {prefix}step_queue q
    SET claimed_by = NULL, claimed_at = NULL, deliveries = q.deliveries - 1, gate = 2
    WHERE q.id = ANY (ARRAY(SELECT p.id FROM placed p WHERE NOT p.is_seated))
)
SELECT s.id
FROM seated s

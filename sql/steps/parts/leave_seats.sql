-- Give back the seats of the tasks in `leavers`. The keys are locked in their order, so that nobody waits in a circle.
--
-- Who waits for a seat is looked for afterwards, by unpark: a statement does not see what was committed while it waited for
-- a lock.
left_seats AS MATERIALIZED (
    SELECT v.concurrency_key, count(*)::integer AS number
    FROM leavers v
    WHERE v.holds_seat
    GROUP BY v.concurrency_key
), locked AS MATERIALIZED (
    SELECT l.concurrency_key
    FROM {prefix}step_limits l
    WHERE l.concurrency_key IN (SELECT f.concurrency_key FROM left_seats f)
    ORDER BY l.concurrency_key
    FOR UPDATE
), counted AS (
    UPDATE {prefix}step_limits l
    SET taken = l.taken - f.number
    FROM left_seats f
    JOIN locked k ON k.concurrency_key = f.concurrency_key
    WHERE l.concurrency_key = f.concurrency_key
)

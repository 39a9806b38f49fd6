-- Let messages whose delay is over join the queue, at the place of their publication.
--
-- By ctid, because a delayed message has no index on its id; rows that are locked here do not move.
UPDATE {queue} q
SET due_at = NULL
WHERE q.ctid = ANY (ARRAY(
    SELECT m.ctid
    FROM {queue} m
    WHERE m.due_at <= now()
    ORDER BY m.due_at
    LIMIT 10000
    FOR UPDATE SKIP LOCKED
))

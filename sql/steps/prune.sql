-- Forget a batch of finished tasks, the oldest; dead ones stay, to be redriven.
DELETE FROM {prefix}step_history h
WHERE h.ctid = ANY (ARRAY(
    SELECT o.ctid
    FROM {prefix}step_history o
    WHERE o.completed_at < clock_timestamp() - %(older_than)s::interval AND o.status <> 9 /* DEAD */
    LIMIT %(batch)s::bigint
    FOR UPDATE SKIP LOCKED
))

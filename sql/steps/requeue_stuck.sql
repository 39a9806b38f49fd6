-- Let the tasks of workers wait again: of a worker by its name, of those not heard of for a time, or of the dead ones.
--
-- A worker's name is the one it was given, with or without the part that its process added. Reads what is in the queue; a
-- claim takes over what dead workers hold without this. What was claimed since this began is left alone: it may have been
-- taken over by a worker that this statement does not see.
WITH gone AS MATERIALIZED (
    SELECT q.id, q.holds_seat
    FROM {prefix}step_queue q
    LEFT JOIN {prefix}workers w ON w.id = q.claimed_by
    WHERE q.claimed_by IS NOT NULL AND q.claimed_at < now() AND q.id <> ALL (%(kept)b::bigint[])
      AND CASE
              WHEN %(claimed_by)s::text IS NOT NULL
                  THEN q.claimed_by = %(claimed_by)s::text OR starts_with(q.claimed_by, %(claimed_by)s::text || '.')
              WHEN %(stale_timeout)s::interval IS NOT NULL
                  THEN w.id IS NULL OR w.seen_at < clock_timestamp() - %(stale_timeout)s::interval
              ELSE w.id IS NULL OR w.expires_at <= clock_timestamp()
          END
    FOR UPDATE OF q SKIP LOCKED
), back AS (
    UPDATE {prefix}step_queue q
    SET claimed_by = NULL, claimed_at = NULL, holds_seat = false
    FROM gone g
    WHERE q.id = g.id
    RETURNING q.id, q.queue, q.priority, q.concurrency_key, g.holds_seat
), leavers AS (
    SELECT b.concurrency_key, b.holds_seat
    FROM back b
), {{steps/parts/leave_seats}}
SELECT b.id, b.queue, b.priority, b.holds_seat
FROM back b

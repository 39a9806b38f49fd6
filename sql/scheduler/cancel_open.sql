-- Cancel the ticks of some schedules that are not settled; gives the runs that they had started.
--
-- One that is being settled at this very moment is locked, and is passed over: it needs no cancelling.
UPDATE {prefix}schedule_ticks t
SET status = 'cancelled', reason = %(reason)s::text, settled_at = clock_timestamp(), leased_until = NULL
WHERE t.ctid = ANY (ARRAY(
    SELECT o.ctid
    FROM {prefix}schedule_ticks o
    WHERE o.schedule = ANY (%(ids)s::bigint[]) AND o.status IN ('ready', 'queued')
    FOR UPDATE SKIP LOCKED
))
RETURNING t.schedule, t.workflow_id

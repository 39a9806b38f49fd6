-- Settle the ticks of some schedules whose runs have ended, or are gone, each with why its run did not complete.
UPDATE {prefix}schedule_ticks t
SET status = 'settled', settled_at = clock_timestamp(),
    reason = (
        SELECT CASE w.status WHEN 6 /* CANCELLED */ THEN 'the run was cancelled'
                             ELSE concat_ws(': ', w.error ->> 'type', w.error ->> 'message') END
        FROM {prefix}workflows w
        WHERE w.workflow_id = t.workflow_id AND w.status <> 4 /* COMPLETED */
    )
FROM {prefix}schedules s
WHERE t.ctid = ANY (ARRAY(
    SELECT o.ctid
    FROM {prefix}schedules b
    JOIN {prefix}schedule_ticks o ON o.schedule = b.id
    LEFT JOIN {prefix}workflows w ON w.workflow_id = o.workflow_id
    WHERE b.namespace = %(namespace)s::text AND b.schedule_id = ANY (%(schedule_ids)s::text[])
      AND o.status IN ('ready', 'queued') AND o.status = 'ready' AND o.workflow_id <> ''
      AND (w.id IS NULL OR w.status IN (4 /* COMPLETED */, 5 /* FAILED */, 6 /* CANCELLED */))
    FOR UPDATE OF o SKIP LOCKED
))
  AND s.id = t.schedule
RETURNING s.schedule_id, t.reason

-- Cancel a run that has not ended and, if asked, every unfinished descendant; their unfinished steps with them.
--
-- Rows are locked in the order of their ids, like everywhere where several workflows are locked, so that two cascades
-- cannot deadlock. A step that a transaction is writing now is left to it: to wait for it here, with the workflow locked,
-- would be a deadlock when that transaction ends the run next.
WITH RECURSIVE family AS (
    SELECT w.id, true AS is_root
    FROM {prefix}workflows w
    WHERE w.workflow_id = %(workflow_id)s::text
    UNION ALL
    SELECT c.id, false
    FROM family f
    JOIN {prefix}workflows c ON c.parent_id = f.id
    WHERE %(cascade)s::boolean
), locked AS MATERIALIZED (
    SELECT w.id, w.run, w.status, w.workflow_id = %(workflow_id)s::text AS is_root
    FROM {prefix}workflows w
    WHERE w.id = ANY (ARRAY(SELECT id FROM family))
    ORDER BY w.id
    FOR UPDATE OF w
), cancelled AS (
    UPDATE {prefix}workflows w
    SET status = 6 /* CANCELLED */, updated_at = clock_timestamp(), completed_at = clock_timestamp()
    FROM locked
    WHERE w.id = locked.id AND locked.status NOT IN (4 /* COMPLETED */, 5 /* FAILED */, 6 /* CANCELLED */)
      AND EXISTS (SELECT FROM locked r WHERE r.is_root AND r.status NOT IN (4 /* COMPLETED */, 5 /* FAILED */))
    RETURNING w.id, w.run
), steps AS (
    UPDATE {prefix}workflow_steps s
    SET status = 7 /* CANCELLED */
    FROM (
        SELECT o.workflow, o.run, o.step_name
        FROM cancelled
        JOIN {prefix}workflow_steps o ON o.workflow = cancelled.id AND o.run = cancelled.run
        WHERE o.status IN (1 /* PENDING */, 2 /* RUNNING */, 3 /* WAITING */)
        FOR UPDATE OF o SKIP LOCKED
    ) open
    WHERE s.workflow = open.workflow AND s.run = open.run AND s.step_name = open.step_name
)
SELECT (SELECT r.status FROM locked r WHERE r.is_root) AS root_status, (SELECT count(*) FROM cancelled) AS cancelled

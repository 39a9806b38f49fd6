-- Cancel a run that has not ended and, if asked, every unfinished descendant; their unfinished steps and tasks with them.
--
-- Rows are locked in the order of their ids, like everywhere where several workflows are locked, so that two cascades
-- cannot deadlock. A step that a transaction is writing now is left to it: to wait for it here, with the workflow locked,
-- would be a deadlock when that transaction ends the run next. So are the tasks, which whoever holds or gets one settles
-- without effect. A child that was being created is not seen: a second call finds it, and none can come after this one.
-- A child is cancelled only by a caller that goes on to wake its parent, in the same transaction.
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
    SELECT w.id, w.run, w.status, w.parent_id, w.workflow_id = %(workflow_id)s::text AS is_root
    FROM {prefix}workflows w
    WHERE w.id = ANY (ARRAY(SELECT id FROM family))
    ORDER BY w.id
    FOR UPDATE OF w
), cancelled AS (
    UPDATE {prefix}workflows w
    SET status = 6 /* CANCELLED */, updated_at = clock_timestamp(), completed_at = clock_timestamp()
    FROM locked
    WHERE w.id = locked.id AND locked.status NOT IN (4 /* COMPLETED */, 5 /* FAILED */, 6 /* CANCELLED */)
      AND EXISTS (
          SELECT
          FROM locked r
          WHERE r.is_root AND r.status NOT IN (4 /* COMPLETED */, 5 /* FAILED */)
            AND (r.parent_id IS NULL OR %(wakes)s::boolean)
      )
    RETURNING w.id, w.run, w.workflow_id
), tasks AS (
    DELETE FROM {prefix}step_queue t
    WHERE t.id = ANY (ARRAY(
        SELECT q.id
        FROM cancelled c
        JOIN {prefix}step_queue q ON q.lane = hashtextextended(c.workflow_id, 0) AND q.run = c.run
        WHERE q.workflow = c.id
        FOR UPDATE OF q SKIP LOCKED
    ))
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
), rung AS (
    SELECT 'workflows' AS name
    FROM cancelled
)
SELECT r.status AS root_status, r.parent_id IS NOT NULL AS has_parent, (SELECT count(*) FROM cancelled) AS cancelled
FROM locked r
WHERE r.is_root AND {{bell/parts/rings}} IS NOT FALSE

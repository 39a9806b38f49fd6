-- Let the task without a step end its run, once no other task of it is executed: those that wait are taken away first.
--
-- Nothing was enqueued since the run is `ending`, so all there is is seen; what somebody settles meanwhile is met by the
-- lock on the workflow, and by those on the tasks, which are gone then. With others at work the task waits: whoever settles
-- the last one wakes it; the moment is for workers that died.
WITH held AS MATERIALIZED (
    SELECT t.id, t.workflow, t.run
    FROM {prefix}step_queue t
    WHERE t.id = %(task)s::bigint AND t.claimed_by = %(claimed_by)s::text AND t.lease = %(task_lease)s::integer
      AND EXISTS (SELECT FROM {prefix}workers v WHERE v.id = %(claimed_by)s::text AND v.expires_at > clock_timestamp())
), locked AS MATERIALIZED (
    SELECT w.id, w.run, w.workflow_id
    FROM held h
    JOIN {prefix}workflows w ON w.id = h.workflow
    FOR NO KEY UPDATE OF w
), others AS MATERIALIZED (
    SELECT t.id, t.claimed_by IN (
               SELECT v.id FROM {prefix}workers v WHERE v.expires_at > clock_timestamp()
           ) AS is_busy
    FROM locked
    JOIN {prefix}step_queue t ON t.lane = hashtextextended(locked.workflow_id, 0) AND t.run = locked.run
    WHERE t.workflow = locked.id AND t.step_name <> ''
    FOR KEY SHARE OF t
), gone AS (
    DELETE FROM {prefix}step_queue t
    WHERE t.id = ANY (ARRAY(SELECT o.id FROM others o WHERE o.is_busy IS NOT TRUE))
), parked AS (
    UPDATE {prefix}step_queue t
    SET id = DEFAULT, claimed_by = NULL, claimed_at = NULL, deliveries = 0, gate = 1,
        available_at = clock_timestamp() + interval '30 seconds'
    FROM held h
    WHERE t.id = h.id AND EXISTS (SELECT FROM others o WHERE o.is_busy)
    RETURNING t.id
)
SELECT NOT EXISTS (SELECT FROM parked) AS is_alone
FROM locked

-- The numbers that the proof stands on, all of one snapshot.
-- A resumed step is one whose checkpoint was made by another process than the one that made the last checkpoint of its
-- run: the later process found it there and went on from it.
WITH checkpoint AS (
    SELECT w.workflow_id, s.step_name
    FROM {prefix}workflows w
    JOIN {prefix}workflow_steps s ON s.workflow = w.id AND s.run = w.run
    WHERE s.status = 4 /* COMPLETED */
), success AS (
    SELECT a.workflow, a.instance_id, a.completed_at
    FROM {prefix}step_attempts a
    WHERE a.status = 4 /* COMPLETED */
), last_hand AS (
    SELECT DISTINCT ON (workflow) workflow, instance_id
    FROM success
    ORDER BY workflow, completed_at DESC
), resumed AS (
    SELECT success.workflow
    FROM success
    JOIN last_hand ON last_hand.workflow = success.workflow
    WHERE success.instance_id <> last_hand.instance_id
), executed AS (
    SELECT workflow_id, step_name, count(*) AS times
    FROM {prefix}demo_executions
    GROUP BY workflow_id, step_name
)
SELECT (SELECT count(*) FROM {prefix}workflows WHERE status = 4 /* COMPLETED */) AS completed_runs,
       (SELECT count(*) FROM checkpoint) AS checkpoints,
       (SELECT count(*) FROM success) AS successes,
       (SELECT count(*) FROM resumed) AS resumed_steps,
       (SELECT count(DISTINCT workflow) FROM resumed) AS resumed_runs,
       (SELECT COALESCE(sum(times), 0)::bigint FROM executed) AS executions,
       (SELECT COALESCE(sum(times - 1), 0)::bigint FROM executed) AS repeated,
       (SELECT count(*) FROM {prefix}demo_executions WHERE after_checkpoint) AS after_checkpoint,
       (
           SELECT count(*)
           FROM checkpoint
           WHERE NOT EXISTS (
               SELECT FROM executed
               WHERE executed.workflow_id = checkpoint.workflow_id AND executed.step_name = checkpoint.step_name
           )
       ) AS unobserved

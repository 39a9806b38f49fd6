-- The steps of one run in the order of its definition; steps that were not declared beforehand follow as they ended.
--
-- Elements of map and parallel steps come along as one json array each, so that a whole run is read by two statements. The
-- row before the first says that all are there.
SELECT s.step_name, s.status, s.step_type, s.depends_on, s.result::text AS result, s.error::text AS error, s.attempt,
       s.started_at, s.completed_at, s.duration, s.wake_at, s.signal_name, s.signal_timeout_at,
       s.metadata::text AS metadata, t.tasks::text AS tasks
FROM {prefix}workflow_steps s
LEFT JOIN LATERAL (
    SELECT json_agg(json_build_array(t.task_index, t.status, t.result, t.error, t.attempt, t.started_at, t.completed_at,
                                     extract(epoch FROM t.duration)) ORDER BY t.task_index) AS tasks
    FROM {prefix}workflow_step_tasks t
    WHERE t.workflow = s.workflow AND t.run = s.run AND t.step_name = s.step_name AND t.task_index >= 0
) t ON s.step_type IN (2 /* MAP */, 4 /* PARALLEL */)
WHERE s.workflow = %(workflow)s::bigint AND s.run = %(run)s::integer
ORDER BY s.position NULLS LAST, s.completed_at, s.step_name

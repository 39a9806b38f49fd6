-- Enqueue the steps of `ready` as tasks of their runs; those that sleep wait for their moment, or for the deadline.
INSERT INTO {prefix}step_queue (
    workflow, definition, workflow_id, run, step_name, queue, priority, namespace, gate, available_at
)
SELECT r.workflow, 'workflow:' || w.workflow_name || '@' || COALESCE(w.version, ''), w.workflow_id, w.run, r.step_name,
       r.queue, r.priority, w.namespace, CASE WHEN r.wake_at > clock_timestamp() THEN 1 ELSE 0 END,
       CASE WHEN r.wake_at > clock_timestamp() THEN LEAST(r.wake_at, w.deadline_at) END
FROM ready r
JOIN driven w ON w.id = r.workflow
ORDER BY r.workflow, r.position
ON CONFLICT DO NOTHING
RETURNING queue

-- Let the ticks of a schedule start runs of a workflow, from now on.
UPDATE {prefix}schedules s
SET workflow = %(workflow)s::text, updated_at = clock_timestamp()
WHERE s.namespace = %(namespace)s::text AND s.schedule_id = %(schedule_id)s::text
RETURNING s.id

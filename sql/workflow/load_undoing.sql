-- The steps of a run that are to be undone, the last completed first, with the attempts at undoing each.
--
-- `tries` are those since the run began to be undone: they count against the policy, earlier ones do not. The numbers of
-- attempts are their keys and go on.
SELECT s.step_name, s.status, COALESCE(a.attempts, 0) AS attempts, COALESCE(a.tries, 0) AS tries, a.error::text AS error
FROM {prefix}workflows w
JOIN {prefix}workflow_steps s ON s.workflow = w.id AND s.run = w.run AND s.step_name = ANY (%(step_names)s::text[])
LEFT JOIN LATERAL (
    SELECT max(a.attempt) AS attempts, (count(*) FILTER (WHERE a.completed_at >= w.updated_at))::integer AS tries,
           (array_agg(a.error ORDER BY a.attempt DESC))[1] AS error
    FROM {prefix}step_attempts a
    WHERE a.workflow = s.workflow AND a.run = s.run AND a.step_name = s.step_name
      AND a.attempt_type = 2 /* COMPENSATION */
) a ON true
WHERE w.workflow_id = %(workflow_id)s::text
  AND (s.status = 4 /* COMPLETED */ OR (s.status = 8 /* COMPENSATED */ AND a.tries > 0))
ORDER BY s.completed_at DESC, s.position DESC, s.step_name

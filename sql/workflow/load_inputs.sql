-- What tasks are executed with: the input of the run, the results of the steps that theirs depends on, and where both stand.
--
-- One probe of an index for each row that is given back. A task without a step ends its run.
SELECT t.number, w.status, w.run = t.run AS is_current, w.ending, w.retries, w.version, w.input::text AS input,
       w.deadline_at - clock_timestamp() AS deadline_in, s.status AS step_status, s.step_type,
       COALESCE(s.attempt, 0) + 1 AS attempt, s.metadata::text AS metadata,
       COALESCE(s.signal_timeout_at, s.wake_at) - clock_timestamp() AS due_in, d.names, d.results
FROM unnest(
    (SELECT %(workflow_ids)b::text[]), (SELECT %(runs)b::integer[]), (SELECT %(step_names)b::text[])
)
    WITH ORDINALITY AS t (workflow_id, run, step_name, number)
CROSS JOIN LATERAL (
    SELECT w.id, w.status, w.run, w.ending, w.retries, w.version, w.input, w.deadline_at
    FROM {prefix}workflows w
    WHERE w.workflow_id = t.workflow_id
    LIMIT 1
) AS w
LEFT JOIN LATERAL (
    SELECT s.status, s.step_type, s.attempt, s.metadata, s.signal_timeout_at, s.wake_at, s.depends_on
    FROM {prefix}workflow_steps s
    WHERE s.workflow = w.id AND s.run = t.run AND s.step_name = t.step_name
    LIMIT 1
) AS s ON true
LEFT JOIN LATERAL (
    SELECT array_agg(d.step_name) AS names, array_agg(d.result::text) AS results
    FROM {prefix}workflow_steps d
    WHERE d.workflow = w.id AND d.run = t.run AND d.step_name = ANY (s.depends_on)
) AS d ON cardinality(s.depends_on) > 0

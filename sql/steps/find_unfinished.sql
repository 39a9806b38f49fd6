-- The unfinished tasks of these workflows, runs and steps, by the number of each in the arrays.
--
-- The hashes lead to the place, the texts say whether it is this one's. Steps of runs have places of their own.
SELECT t.number, q.id
FROM unnest(
    (SELECT %(workflow_ids)b::text[]), (SELECT %(runs)b::integer[]), (SELECT %(step_names)b::text[])
)
    WITH ORDINALITY AS t (workflow_id, run, step_name, number)
CROSS JOIN LATERAL (
    SELECT s.id
    FROM {prefix}step_queue s
    WHERE s.lane = hashtextextended(t.workflow_id, 0) AND s.run = t.run
      AND hashtextextended(s.step_name, 0) = hashtextextended(t.step_name, 0) AND (s.definition IS NULL) = true
      AND s.workflow_id = t.workflow_id AND s.step_name = t.step_name
    LIMIT 1
) AS q

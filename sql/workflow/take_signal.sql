-- Give a step the next payload of a signal that no step was given yet; the same one when it asks again.
WITH ours AS MATERIALIZED (
    SELECT w.id, w.run
    FROM {prefix}workflows w
    WHERE w.workflow_id = %(workflow_id)s::text
      AND {{workflow/parts/fenced}}
), known AS MATERIALIZED (
    SELECT s.signal_index AS index
    FROM ours
    JOIN {prefix}workflow_steps s
      ON s.workflow = ours.id AND s.run = ours.run AND s.step_name = %(step_name)s::text
    WHERE s.signal_index IS NOT NULL
), taken AS (
    UPDATE {prefix}workflow_signals g
    SET consumed = g.consumed + 1
    FROM ours
    WHERE g.workflow = ours.id AND g.run = ours.run AND g.signal_name = %(signal)s::text
      AND g.consumed < cardinality(g.payloads) AND NOT EXISTS (SELECT FROM known)
    RETURNING g.consumed AS index, g.payloads[g.consumed] AS payload
), noted AS (
    INSERT INTO {prefix}workflow_steps (workflow, run, step_name, step_type, signal_name, signal_index)
    SELECT ours.id, ours.run, %(step_name)s::text, 6 /* SIGNAL */, %(signal)s::text, taken.index
    FROM ours, taken
    ON CONFLICT (workflow, run, step_name) DO UPDATE
    SET signal_name = EXCLUDED.signal_name, signal_index = EXCLUDED.signal_index
)
SELECT COALESCE(k.index, t.index) AS index, COALESCE(k.payload, t.payload)::text AS payload
FROM ours
LEFT JOIN taken t ON true
LEFT JOIN (
    SELECT known.index, g.payloads[known.index] AS payload
    FROM ours, known, {prefix}workflow_signals g
    WHERE g.workflow = ours.id AND g.run = ours.run AND g.signal_name = %(signal)s::text
) AS k ON true

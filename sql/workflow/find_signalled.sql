-- Of steps that wait for a signal, those for which a payload is there.
SELECT s.step_name
FROM {prefix}workflows w
JOIN {prefix}workflow_steps s ON s.workflow = w.id AND s.run = w.run AND s.step_name = ANY (%(step_names)s::text[])
JOIN {prefix}workflow_signals g ON g.workflow = w.id AND g.run = w.run AND g.signal_name = s.signal_name
WHERE w.workflow_id = %(workflow_id)s::text
  AND (cardinality(g.payloads) > g.consumed OR s.signal_index IS NOT NULL)

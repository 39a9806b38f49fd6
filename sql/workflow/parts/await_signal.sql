-- Enter a step of each run in `locked` among those that wait for a signal, unless a payload is there for it.
--
-- A delivery locks the same row until its end: whoever comes second sees the other.
INSERT INTO {prefix}workflow_signals AS s (workflow, run, signal_name, waiting)
SELECT locked.id, locked.run, %(signal)s::text, ARRAY[locked.step_name]
FROM locked
WHERE %(signal)s::text IS NOT NULL
ON CONFLICT (workflow, run, signal_name) DO UPDATE
SET waiting = CASE
                  WHEN cardinality(s.payloads) > s.consumed THEN s.waiting
                  ELSE array_remove(s.waiting, EXCLUDED.waiting[1]) || EXCLUDED.waiting
              END
RETURNING cardinality(s.payloads) > s.consumed AS came

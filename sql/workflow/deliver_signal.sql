-- Deliver a signal to the current run of a workflow that has not ended, and tell whether a step waits for it: for the
-- first that came since it began to wait.
WITH locked AS MATERIALIZED (
    SELECT w.id, w.run
    FROM {prefix}workflows w
    WHERE w.workflow_id = %(workflow_id)s::text
      AND w.status NOT IN (4 /* COMPLETED */, 5 /* FAILED */, 6 /* CANCELLED */)
    FOR SHARE OF w
)
INSERT INTO {prefix}workflow_signals AS s (workflow, run, signal_name, payloads, delivered_at)
SELECT locked.id, locked.run, %(signal_name)s::text, ARRAY[%(payload)s::text::json], ARRAY[clock_timestamp()]
FROM locked
ON CONFLICT (workflow, run, signal_name) DO UPDATE
SET payloads = s.payloads || EXCLUDED.payloads, delivered_at = s.delivered_at || EXCLUDED.delivered_at
RETURNING s.waiting_step IS NOT NULL AND cardinality(s.payloads) = s.consumed + 1 AS awaited

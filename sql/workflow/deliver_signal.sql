-- Deliver a signal to the current run of a workflow that has not ended, and tell whether a step waits for it: for the
-- first that came since it began to wait.
--
-- Who waits is woken by wake_for_signal, in the same transaction: as this one holds the row of the signal, nobody begins
-- to wait before it ends, and whoever began before is seen by a second statement, but not by this one.
WITH locked AS MATERIALIZED (
    SELECT w.id, w.run
    FROM {prefix}workflows w
    WHERE w.workflow_id = %(workflow_id)s::text
      AND w.status NOT IN (4 /* COMPLETED */, 5 /* FAILED */, 6 /* CANCELLED */)
    FOR KEY SHARE OF w
)
INSERT INTO {prefix}workflow_signals AS s (workflow, run, signal_name, payloads, delivered_at)
SELECT locked.id, locked.run, %(signal_name)s::text, ARRAY[%(payload)s::text::json], ARRAY[clock_timestamp()]
FROM locked
ON CONFLICT (workflow, run, signal_name) DO UPDATE
SET payloads = s.payloads || EXCLUDED.payloads, delivered_at = s.delivered_at || EXCLUDED.delivered_at
RETURNING cardinality(s.waiting) > 0 AS awaited

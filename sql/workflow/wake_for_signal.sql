-- Let every step that waits for a signal look for it again, after deliver_signal: those of inline runs, and tasks.
WITH signal AS MATERIALIZED (
    SELECT w.id, w.run, w.workflow_id, s.waiting
    FROM {prefix}workflows w
    JOIN {prefix}workflow_signals s
      ON s.workflow = w.id AND s.run = w.run AND s.signal_name = %(signal_name)s::text
    WHERE w.workflow_id = %(workflow_id)s::text
), told AS (
    UPDATE {prefix}workflow_signals s
    SET waiting = '{}'
    FROM signal
    WHERE s.workflow = signal.id AND s.run = signal.run AND s.signal_name = %(signal_name)s::text
), waiting AS (
    SELECT signal.id, signal.run, signal.workflow_id, n.step_name, 'signal:' || %(signal_name)s::text AS waits_for
    FROM signal, unnest(signal.waiting) AS n (step_name)
), {{workflow/parts/woken}}
SELECT {{bell/parts/rings}} AS rung

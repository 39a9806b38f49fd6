-- Checkpoint the last step of an inline run, whose result is that of the run, and end the run: one commit for both. A run
-- with a parent is not ended here: that takes more. Sent again, as after a lost connection, it finds the run ended.
WITH {{workflow/parts/saved_step}}, ended AS (
    UPDATE {prefix}workflows w
    SET status = 4 /* COMPLETED */, result = %(result)s::text::json, error = NULL, updated_at = clock_timestamp(),
        completed_at = clock_timestamp()
    FROM saved
    WHERE w.id = saved.workflow AND w.run = saved.run AND w.parent_id IS NULL
      AND w.status NOT IN (4 /* COMPLETED */, 5 /* FAILED */, 6 /* CANCELLED */)
    RETURNING w.id
), rung AS (
    SELECT 'workflows' AS name
    FROM ended
)
SELECT w.status, EXISTS (SELECT FROM ended) AS ended
FROM saved
JOIN {prefix}workflows w ON w.id = saved.workflow
WHERE {{bell/parts/rings}} IS NOT FALSE

-- Record how a run ended: completed with a result, or failed with an error; take the task away that ends it; ring.
--
-- A run that has ended stays as it ended; saying the same once more, as after a lost connection, changes nothing, though the
-- task be gone. A child is ended only by a caller that goes on to wake its parent, in the same transaction.
WITH ended AS (
    UPDATE {prefix}workflows w
    SET status = %(status)s::smallint, result = %(result)s::text::json, error = %(error)s::text::json,
        updated_at = COALESCE(w.completed_at, clock_timestamp()),
        completed_at = COALESCE(w.completed_at, clock_timestamp())
    WHERE w.workflow_id = %(workflow_id)s::text AND (w.parent_id IS NULL OR %(wakes)s::boolean)
      AND (w.status NOT IN (4 /* COMPLETED */, 5 /* FAILED */, 6 /* CANCELLED */)
           OR (w.status = %(status)s::smallint AND w.result::text IS NOT DISTINCT FROM %(result)s::text
               AND w.error::text IS NOT DISTINCT FROM %(error)s::text))
      AND ({{workflow/parts/fenced}} OR (w.completed_at IS NOT NULL AND %(task)s::bigint IS NOT NULL))
    RETURNING w.id, w.run, w.parent_id
), gone AS (
    DELETE FROM {prefix}step_queue t
    USING ended
    WHERE t.id = %(task)s::bigint AND t.workflow = ended.id AND t.step_name = ''
), rung AS (
    SELECT 'workflows' AS name
    FROM ended
)
SELECT ended.run, COALESCE(ended.parent_id, w.parent_id) IS NOT NULL AS has_parent
FROM {prefix}workflows w
LEFT JOIN ended ON ended.id = w.id
WHERE w.workflow_id = %(workflow_id)s::text AND (ended.id IS NOT NULL OR w.parent_id IS NOT NULL)
  AND {{bell/parts/rings}} IS NOT FALSE

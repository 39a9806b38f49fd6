-- Of some workflows, those whose run has ended, and those that there are none of.
--
-- One probe each, whatever the planner believes.
SELECT a.workflow_id, w.status, w.result::text AS result
FROM unnest(%(workflow_ids)s::text[]) AS a (workflow_id)
LEFT JOIN LATERAL (
    SELECT o.status, o.result
    FROM {prefix}workflows o
    WHERE o.workflow_id = a.workflow_id
    LIMIT 1
) AS w ON true
WHERE w.status IS NULL OR w.status IN (4 /* COMPLETED */, 5 /* FAILED */, 6 /* CANCELLED */)

-- The files whose run failed.
SELECT f.path
FROM {prefix}workflows w
JOIN {prefix}demo_files f ON f.workflow_id = w.workflow_id
WHERE w.status = 5 /* FAILED */
ORDER BY f.path

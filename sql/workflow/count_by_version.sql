-- How many workflows of a name are recorded with each version, by their status.
SELECT w.version, w.status, count(*) AS number
FROM {prefix}workflows w
WHERE w.workflow_name = %(workflow_name)s::text
GROUP BY w.version, w.status

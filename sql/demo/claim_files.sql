-- Claims the next files for a worker.
-- SKIP LOCKED: workers that claim at once get different files and do not wait for each other. The array is an
-- InitPlan, so that the LIMIT is applied once.
UPDATE {prefix}demo_files
SET owner = %(worker)s::text
WHERE workflow_id = ANY (ARRAY(
    SELECT workflow_id
    FROM {prefix}demo_files
    WHERE owner IS NULL
    ORDER BY workflow_id
    LIMIT %(limit)s::integer
    FOR UPDATE SKIP LOCKED
))
RETURNING workflow_id, path

-- Why a write found nothing to do: whether the workflow exists, where it stands, and whether the lease is held.
SELECT w.status, {{workflow/parts/fenced}} AS may_write
FROM {prefix}workflows w
WHERE w.workflow_id = %(workflow_id)s::text

-- Why a write found nothing to do: whether the workflow exists, where it stands, and who holds its lease.
SELECT w.status, l.token::text AS token
FROM {prefix}workflows w
LEFT JOIN {prefix}workflow_leases l ON l.workflow = w.id
WHERE w.workflow_id = %(workflow_id)s::text

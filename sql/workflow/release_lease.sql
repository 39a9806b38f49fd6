-- Give a lease back; one that was lost is not ours to give.
DELETE FROM {prefix}workflow_leases l
USING {prefix}workflows w
WHERE w.workflow_id = %(workflow_id)s::text AND l.workflow = w.id AND l.token = %(token)s::uuid

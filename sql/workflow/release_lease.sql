-- Give leases back; those that were lost are not ours to give.
DELETE FROM {prefix}workflow_leases l
WHERE l.token = ANY (%(tokens)s::uuid[])

-- Let go of the lease, so that another scheduler leads at once.
DELETE FROM {prefix}scheduler_leases WHERE namespace = %(namespace)s::text AND token = %(token)s::uuid

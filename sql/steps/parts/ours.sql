-- Tasks that are still ours: that bear our name and the number of the lease that we were given, for as long as we are alive.
--
-- `ids` are sorted and each is there once: so what belongs to one of them is found by halves. (Numbers come as bigint[], so
-- that no row has them converted.)
q.id = ANY ((SELECT %(ids)b::bigint[])::bigint[]) AND q.claimed_by = %(me)s::text
AND q.lease = (%(leases)b::bigint[])[width_bucket(q.id, %(ids)b::bigint[])]
AND EXISTS (SELECT FROM {prefix}workers w WHERE w.id = %(me)s::text AND w.expires_at > clock_timestamp())

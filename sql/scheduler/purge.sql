-- Remove ticks that were settled, skipped or cancelled before a moment, so many at most. Bounded, to hold up nobody.
DELETE FROM {prefix}schedule_ticks t
WHERE t.ctid = ANY (ARRAY(
    SELECT o.ctid
    FROM {prefix}schedule_ticks o
    WHERE o.namespace = %(namespace)s::text AND o.status IN ('settled', 'skipped', 'cancelled')
      AND o.settled_at < clock_timestamp() - %(older_than)s::interval
    LIMIT %(limit)s::bigint
    FOR UPDATE SKIP LOCKED
))

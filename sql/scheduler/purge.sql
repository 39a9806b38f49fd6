-- Remove those of the first ticks of a schedule that were settled, skipped or cancelled before a moment.
--
-- The first ones by number are the oldest: so nothing is read that stays, and no index on the time is needed.
DELETE FROM {prefix}schedule_ticks t
WHERE t.ctid = ANY (ARRAY(
    SELECT o.ctid
    FROM (
        SELECT h.ctid, h.status, h.settled_at
        FROM {prefix}schedule_ticks h
        WHERE h.schedule = %(schedule)s::bigint
        ORDER BY h.number
        LIMIT %(limit)s::bigint
    ) AS o
    WHERE o.status IN ('settled', 'skipped', 'cancelled')
      AND o.settled_at < clock_timestamp() - %(older_than)s::interval
))

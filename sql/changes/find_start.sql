-- The snapshot from which on a reader gets everything that changed at a moment or after it.
--
-- The first transaction with a change of that age, and what was open below it and is open still: all else below it is
-- older. Records are found in the order of transactions, which is nearly that of time, so that the search ends early.
-- `now` is a snapshot that is on disk (changes/open); what is younger comes after it.
WITH now AS MATERIALIZED (
    SELECT %(now)s::text::pg_snapshot AS snapshot
), first AS MATERIALIZED (
    SELECT LEAST(
        (
            SELECT c.xid
            FROM {prefix}changes AS c
            WHERE c.stream = %(stream)s::integer AND c.changed_at >= %(moment)s::timestamptz
            ORDER BY c.xid, c.seq
            LIMIT 1
        ),
        pg_snapshot_xmax(now.snapshot)
    ) AS xid
    FROM now
), open AS (
    SELECT x.xid
    FROM now
    CROSS JOIN first
    CROSS JOIN LATERAL pg_snapshot_xip(now.snapshot) AS x (xid)
    WHERE x.xid < first.xid
)
SELECT concat_ws(
    ':',
    COALESCE((SELECT o.xid FROM open AS o ORDER BY o.xid LIMIT 1), first.xid)::text,
    first.xid::text,
    COALESCE((SELECT string_agg(o.xid::text, ',' ORDER BY o.xid) FROM open AS o), '')
) AS snapshot
FROM first

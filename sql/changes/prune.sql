-- Delete the records of transactions before the first with a younger change, before `floor`, and before all open ones.
--
-- Whole transactions from the oldest on: so one number tells what is gone, and a cursor that has not seen all of that
-- is refused instead of skipping it. It is the number of the last transaction that had a record, for whoever has seen
-- that one has lost nothing. A transaction that is open holds back what is younger than itself, for its own changes are
-- as old and nobody has seen them. The search for the first younger change reads no more than what is deleted.
WITH bound AS MATERIALIZED (
    SELECT LEAST(
        pg_snapshot_xmin(pg_current_snapshot()),
        %(floor)s::text::xid8,
        (
            SELECT c.xid
            FROM {prefix}changes AS c
            WHERE c.stream = %(stream)s::integer AND c.changed_at >= clock_timestamp() - %(older_than)s::interval
            ORDER BY c.xid, c.seq
            LIMIT 1
        )
    ) AS xid
), deleted AS (
    DELETE FROM {prefix}changes AS c
    WHERE c.stream = %(stream)s::integer AND c.xid < (SELECT bound.xid FROM bound)
    RETURNING c.rows
), last AS MATERIALIZED (
    SELECT c.xid
    FROM {prefix}changes AS c
    WHERE c.stream = %(stream)s::integer AND c.xid < (SELECT bound.xid FROM bound)
    ORDER BY c.xid DESC, c.seq DESC
    LIMIT 1
), marked AS (
    UPDATE {prefix}change_streams AS s
    SET pruned_through = last.xid
    FROM last
    WHERE s.id = %(stream)s::integer AND s.pruned_through < last.xid
)
SELECT COALESCE(sum(d.rows), 0)::bigint AS rows FROM deleted AS d

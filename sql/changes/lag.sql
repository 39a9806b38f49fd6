-- How many changes lie behind a position, and how old the oldest of them is.
--
-- Behind it is what `low` does not show, but for what comes before the place in the batch that ends with `high`. The
-- record at the place may be read in part: `item` of its changes are.
SELECT
    COALESCE(sum(c.rows), 0)::bigint
        - COALESCE(sum(%(item)s::integer) FILTER (WHERE c.seq = %(seq)s::bigint), 0) AS rows,
    COALESCE(GREATEST(clock_timestamp() - min(c.changed_at), '0'), '0')::interval AS age
FROM {prefix}changes AS c
WHERE c.stream = %(stream)s::integer
  AND c.xid >= pg_snapshot_xmin(%(low)s::text::pg_snapshot)
  AND NOT pg_visible_in_snapshot(c.xid, %(low)s::text::pg_snapshot)
  AND pg_visible_in_snapshot(c.xid, pg_current_snapshot())
  AND NOT (pg_visible_in_snapshot(c.xid, %(high)s::text::pg_snapshot) AND c.seq < %(seq)s::bigint)

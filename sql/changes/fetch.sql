-- The records that became visible between two snapshots, from a place among them on; without a second one, until now.
--
-- The first row says which the second snapshot is; the others are the records, by sequence. Of two changes to one row
-- the later has the higher sequence, for it was made when the first had committed; numbers of transactions do not tell
-- that. `is_full` is true for the record that makes the batch large enough; without one, nothing is left before `high`.
--
-- A record is not visible in a snapshot when its transaction was open then (pg_snapshot_xip) or not yet counted (from
-- pg_snapshot_xmax on). So what is new are the records of the transactions that were open in `low` and have ended
-- (`late`), few and found by their numbers, and those of the transactions from the xmax of `low` on. At the beginning
-- of a range the lowest sequence of the latter is looked up, for they are read in the order of sequences. However old
-- the oldest open transaction is, and however long the log: what was delivered is not walked over again.
--
-- OFFSET 0 keeps the conditions on transactions out of the walk in the order of sequences: the planner, which knows
-- nothing of a log that was not analyzed yet, would take them for rare, and sort all that is left before each batch.
-- One statement has one snapshot, so the records are at least as new as what pg_current_snapshot() says.
--
-- What that snapshot shows may not be on disk yet, and a server that crashes gives the numbers of such transactions out
-- again: to changes that a cursor would take for seen. So the commit of this statement has the WAL flushed before
-- anything is delivered, by a message that nobody reads; most times those who committed have done that.
WITH span AS MATERIALIZED (
    SELECT n.low, n.high, pg_snapshot_xmax(n.low) AS from_xid, pg_snapshot_xmax(n.high) AS to_xid
    FROM (
        SELECT
            %(low)s::text::pg_snapshot AS low,
            COALESCE(%(high)s::text::pg_snapshot, pg_current_snapshot()) AS high
    ) AS n
), start AS MATERIALIZED (
    SELECT CASE
               WHEN %(seq)s::bigint > 0 THEN %(seq)s::bigint
               ELSE (
                   SELECT min(r.seq)
                   FROM {prefix}changes AS r
                   WHERE r.stream = %(stream)s::integer
                     AND r.xid >= (SELECT span.from_xid FROM span)
                     AND r.xid < (SELECT span.to_xid FROM span)
               )
           END AS seq
), found AS (
    (
        SELECT c.seq, c.op, c.rows, c.bytes, c.old, c.new, c.changed_at
        FROM span
        CROSS JOIN LATERAL pg_snapshot_xip(span.low) AS late (xid)
        CROSS JOIN LATERAL (
            SELECT r.seq, r.op, r.rows, r.bytes, r.old, r.new, r.changed_at
            FROM {prefix}changes AS r
            WHERE r.stream = %(stream)s::integer AND r.xid = late.xid AND r.seq >= %(seq)s::bigint
            ORDER BY r.seq
            LIMIT %(limit)s::integer
        ) AS c
        WHERE pg_visible_in_snapshot(late.xid, span.high)
        ORDER BY c.seq
        LIMIT %(limit)s::integer
    )
    UNION ALL
    (
        SELECT c.seq, c.op, c.rows, c.bytes, c.old, c.new, c.changed_at
        FROM (
            SELECT r.xid, r.seq, r.op, r.rows, r.bytes, r.old, r.new, r.changed_at
            FROM {prefix}changes AS r
            WHERE (r.stream, r.seq) >= (%(stream)s::integer, (SELECT start.seq FROM start))
              AND r.stream <= %(stream)s::integer
            ORDER BY r.stream, r.seq
            OFFSET 0
        ) AS c
        WHERE c.xid >= (SELECT span.from_xid FROM span)
          AND pg_visible_in_snapshot(c.xid, (SELECT span.high FROM span))
        LIMIT %(limit)s::integer
    )
    ORDER BY seq
    LIMIT %(limit)s::integer
), counted AS (
    SELECT
        f.seq, f.op, f.rows, f.bytes, f.old, f.new, f.changed_at,
        sum(f.rows) OVER running AS total_rows, sum(f.bytes) OVER running AS total_bytes
    FROM found AS f
    WINDOW running AS (ORDER BY f.seq ROWS UNBOUNDED PRECEDING)
)
SELECT
    NULL::bigint AS seq, NULL::text AS op, NULL::text[] AS old, NULL::text[] AS new, NULL::timestamptz AS changed_at,
    NULL::boolean AS is_full, span.high::text AS high,
    (SELECT s.pruned_through FROM {prefix}change_streams AS s WHERE s.id = %(stream)s::integer)::text::bigint AS pruned,
    CASE
        WHEN span.low::text <> span.high::text AND %(high)s::text IS NULL
            AND pg_current_wal_flush_lsn() < pg_current_wal_insert_lsn()
        THEN concat(
            set_config('synchronous_commit',
                       COALESCE(NULLIF(current_setting('synchronous_commit'), 'off'), 'local'), true),
            pg_logical_emit_message(true, 'promin', ''::text)
        )
    END AS flushed
FROM span
UNION ALL
(
    SELECT
        c.seq, c.op, c.old::text[], c.new::text[], c.changed_at,
        c.total_rows >= %(limit)s::integer OR c.total_bytes >= %(max_bytes)s::bigint,
        NULL::text, NULL::bigint, NULL::text
    FROM counted AS c
    WHERE c.total_rows - c.rows < %(limit)s::integer AND c.total_bytes - c.bytes < %(max_bytes)s::bigint
    ORDER BY c.seq
)

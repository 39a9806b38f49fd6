-- Change streams: what happened to the tables that carry our triggers, and how far each named consumer has read.
--
-- A row of changes is a record: up to 128 changes that one statement made, because a tuple and an index entry for each
-- would double the cost of a bulk load. xid is the top-level transaction, so that a pair of snapshots tells which
-- records became visible between them; they are read by seq, and found by xid where a transaction has committed late.
-- seq is taken one at a time, without a cache, so that it grows with time. There is no primary key: a third index would
-- be written for nothing.
--
-- `rows` counts the changes; `old` and `new` hold their rows in one order. They are json, not jsonb: they come back as
-- they were, and no text of a caller is refused. `bytes` says how large they are at most, about, before they are
-- compressed: what a reader makes room for.
CREATE TABLE {prefix}changes (
    seq bigint GENERATED ALWAYS AS IDENTITY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    stream integer NOT NULL,
    op text NOT NULL,
    rows integer NOT NULL,
    bytes bigint NOT NULL,
    old json[],
    new json[],
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX {bare}changes_by_xid ON {prefix}changes (stream, xid, seq);
CREATE INDEX {bare}changes_by_seq ON {prefix}changes (stream, seq, xid);

-- One row per table with our triggers. Every record of a transaction up to pruned_through may be deleted: a cursor that
-- has not seen all of that is invalid.
CREATE TABLE {prefix}change_streams (
    id integer GENERATED ALWAYS AS IDENTITY,
    table_schema text NOT NULL,
    table_name text NOT NULL,
    channel text NOT NULL,
    door bigint NOT NULL,
    operations text[] NOT NULL,
    key_columns text[] NOT NULL,
    columns text[],
    condition text,
    pruned_through xid8 NOT NULL DEFAULT '0',
    CONSTRAINT {bare}change_streams_pkey PRIMARY KEY (id),
    CONSTRAINT {bare}change_streams_table_key UNIQUE (table_schema, table_name)
);

-- Whoever shows the token of an unexpired lease reads on behalf of a consumer, and moves its position.
CREATE TABLE {prefix}change_consumers (
    stream integer NOT NULL,
    consumer text NOT NULL,
    position text NOT NULL,
    token uuid,
    holder text,
    expires_at timestamptz,
    acked_at timestamptz,
    CONSTRAINT {bare}change_consumers_pkey PRIMARY KEY (stream, consumer)
);

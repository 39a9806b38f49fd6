"""Older levels of pgmq: the real one, with what came later taken out and the older signatures put in its place."""

from __future__ import annotations

import re

from _pgmq import SQL

LEVELS = ("1.4", "1.5", "1.7", "1.8", "1.9", "1.10", "1.11")

_DROP = """
DO $drop$
DECLARE f regprocedure;
BEGIN
    FOR f IN SELECT oid FROM pg_proc WHERE pronamespace = 'pgmq'::regnamespace AND proname ~ '^({names})$' LOOP
        EXECUTE 'DROP FUNCTION ' || f;
    END LOOP;
END $drop$;
"""

_SET_VT = """
CREATE FUNCTION pgmq.set_vt(queue_name text, msg_id bigint, vt integer) RETURNS SETOF pgmq.message_record AS $$
BEGIN
    RETURN QUERY EXECUTE format(
        'UPDATE pgmq.%I SET vt = clock_timestamp() + make_interval(secs => $2) WHERE msg_id = $1 '
        'RETURNING {columns}', 'q_' || queue_name
    ) USING msg_id, vt;
END $$ LANGUAGE plpgsql;
"""

_NOTIFY = """
CREATE OR REPLACE FUNCTION pgmq.notify_queue_listeners() RETURNS trigger AS $$
BEGIN
    PERFORM pg_notify('pgmq.' || TG_TABLE_NAME || '.' || TG_OP, NULL);
    RETURN NEW;
END $$ LANGUAGE plpgsql;
CREATE FUNCTION pgmq.enable_notify_insert(queue_name text) RETURNS void AS $$
BEGIN
    EXECUTE format(
        'CREATE CONSTRAINT TRIGGER trigger_notify_queue_insert_listeners AFTER INSERT ON pgmq.%I '
        'DEFERRABLE FOR EACH ROW EXECUTE PROCEDURE pgmq.notify_queue_listeners()', 'q_' || queue_name);
END $$ LANGUAGE plpgsql;
CREATE FUNCTION pgmq.disable_notify_insert(queue_name text) RETURNS void AS $$
BEGIN
    EXECUTE format('DROP TRIGGER trigger_notify_queue_insert_listeners ON pgmq.%I', 'q_' || queue_name);
END $$ LANGUAGE plpgsql;
"""

_POP = """
CREATE FUNCTION pgmq.pop(queue_name text) RETURNS SETOF pgmq.message_record AS $$
BEGIN
    RETURN QUERY EXECUTE format(
        'DELETE FROM pgmq.%1$I WHERE msg_id = (SELECT msg_id FROM pgmq.%1$I WHERE vt <= now() ORDER BY msg_id LIMIT 1 '
        'FOR UPDATE SKIP LOCKED) RETURNING {columns}', 'q_' || queue_name);
END $$ LANGUAGE plpgsql;
"""

_SEND = """
CREATE FUNCTION pgmq.send(queue_name text, msg jsonb, delay integer DEFAULT 0) RETURNS SETOF bigint AS $$
BEGIN
    RETURN QUERY EXECUTE format(
        'INSERT INTO pgmq.%I (vt, message) VALUES (clock_timestamp() + make_interval(secs => $2), $1) '
        'RETURNING msg_id', 'q_' || queue_name) USING msg, delay;
END $$ LANGUAGE plpgsql;
CREATE FUNCTION pgmq.send_batch(queue_name text, msgs jsonb[], delay integer DEFAULT 0) RETURNS SETOF bigint AS $$
BEGIN
    RETURN QUERY EXECUTE format(
        'INSERT INTO pgmq.%I (vt, message) SELECT clock_timestamp() + make_interval(secs => $2), unnest($1) '
        'RETURNING msg_id', 'q_' || queue_name) USING msgs, delay;
END $$ LANGUAGE plpgsql;
"""

_DROP_QUEUE = """
DROP FUNCTION pgmq.drop_queue(text, boolean);
ALTER FUNCTION pgmq.drop_queue(text) RENAME TO drop_queue_now;
CREATE FUNCTION pgmq.drop_queue(queue_name text, partitioned boolean DEFAULT false) RETURNS boolean AS $$
BEGIN
    UPDATE pgmq.meta SET is_partitioned = partitioned WHERE meta.queue_name = $1;
    IF NOT FOUND THEN
        RAISE undefined_table;
    END IF;
    RETURN pgmq.drop_queue_now(queue_name);
END $$ LANGUAGE plpgsql;
"""


def _before(level: str, version: str) -> bool:
    return [int(part) for part in level.split(".")] < [int(part) for part in version.split(".")]


def level_sql(level: str) -> str:
    """What to run in an empty database to have pgmq as it was then."""
    text = SQL
    columns = ["msg_id", "read_ct", "enqueued_at", "last_read_at", "vt", "message", "headers"]
    gone = ["read_grouped_head.*"]
    added = ""
    if _before(level, "1.11"):
        gone += [".*topic.*", "test_routing", "(list|update)_notify.*"]
    if _before(level, "1.10"):
        text = re.sub(r" *last_read_at TIMESTAMP WITH TIME ZONE,\n", "", text)
        text = re.sub(r",?\s*last_read_at = clock_timestamp\(\)(,?)", r"\1", text)
        text = re.sub(r"(m\.)?last_read_at, ", "", text).replace("SET\n,", "SET\n").replace("SET,", "SET ")
        columns.remove("last_read_at")
    if _before(level, "1.5"):
        text = re.sub(r",\n +headers JSONB(?=\n +\)|\n\);)", "", text)
        text = re.sub(r"(?<=message), (m\.)?headers", "", text)
        text = re.sub(r",\n    queue_visible_length bigint,\n    default_partition_length bigint", "", text)
        text = re.sub(r",\n +q_summary.queue_visible_length,\n +%L::bigint as default_partition_length", "", text)
        columns.remove("headers")
        gone += ["send", "send_batch", "_send_batch"]
        added += _SEND + _DROP_QUEUE
        text = text.replace("PERFORM pgmq.acquire_queue_lock(queue_name);", "")
    if _before(level, "1.10"):
        gone.append("set_vt")
        added += _SET_VT.format(columns=", ".join(columns))
    if _before(level, "1.9"):
        gone += ["read_grouped.*", ".*fifo.*"]
    if _before(level, "1.8"):
        gone.append("(enable|disable)_notify_insert")
        if not _before(level, "1.7"):
            added += _NOTIFY + "DROP TABLE pgmq.notify_insert_throttle;"
    if _before(level, "1.7"):
        gone.append("pop")
        added += _POP.format(columns=", ".join(columns))
    return text + _DROP.format(names="|".join(gone)) + added

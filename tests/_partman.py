"""pg_partman for tests: the real one where it is installed, and a stand-in with the two things that pgmq asks of it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Partman = Literal["stand-in", "real"]
CREATE = {
    "stand-in": "CREATE EXTENSION pg_partman SCHEMA partman VERSION '5.stand_in'",
    "real": "CREATE EXTENSION pg_partman SCHEMA partman",
}

_CONTROL = """comment = 'A stand-in'
relocatable = false
superuser = false
"""

# As version 5 of the real one: a partition for what is now, four to come, and one for what fits nowhere.
_SQL = """
CREATE TABLE part_config (
    parent_table text PRIMARY KEY, control text, partition_interval text, premake integer, retention text,
    retention_keep_table boolean, retention_keep_index boolean, automatic_maintenance text
);
CREATE FUNCTION create_parent(p_parent_table text, p_control text, p_interval text, p_type text, p_premake integer)
RETURNS boolean AS $$
DECLARE
    is_time boolean := p_control <> 'msg_id';
    parent text := quote_ident(split_part(p_parent_table, '.', 1)) || '.%I';
    name text := split_part(p_parent_table, '.', 2);
    start timestamptz := date_trunc('day', now());
    low text;
    high text;
BEGIN
    IF p_type <> 'range' THEN
        RAISE EXCEPTION '% is not a valid partitioning type for pg_partman', p_type;
    END IF;
    INSERT INTO @extschema@.part_config (parent_table, control, partition_interval, premake)
    VALUES (p_parent_table, p_control, p_interval, p_premake);
    FOR n IN 0 .. p_premake LOOP
        IF is_time THEN
            low := start + n * p_interval::interval;
            high := start + (n + 1) * p_interval::interval;
        ELSE
            low := n * p_interval::bigint;
            high := (n + 1) * p_interval::bigint;
        END IF;
        EXECUTE format('CREATE TABLE ' || parent || ' PARTITION OF ' || parent || ' FOR VALUES FROM (%L) TO (%L)',
                       name || '_p' || n, name, low, high);
    END LOOP;
    EXECUTE format('CREATE TABLE ' || parent || ' PARTITION OF ' || parent || ' DEFAULT', name || '_default', name);
    RETURN true;
END $$ LANGUAGE plpgsql;
"""


def write_partman(directory: Path) -> None:
    """Put the stand-in into a directory of extensions, as a version beside the real one if that is there."""
    if not (directory / "pg_partman.control").exists():
        (directory / "pg_partman.control").write_text(_CONTROL)
    (directory / "pg_partman--5.stand_in.sql").write_text(_SQL)

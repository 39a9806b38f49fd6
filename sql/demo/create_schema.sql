-- Makes the demo's schema with its own tables: the work list, what the runs record, and what was executed.
-- One statement, so that there is either all of it or nothing; it fails when the schema is there already, because at
-- the end the demo drops it. The record of a run is keyed by the run and not by its path: that each path is there
-- exactly once is left to be proved.
CREATE SCHEMA {schema}
    CREATE TABLE {prefix}demo_files (
        workflow_id text PRIMARY KEY,
        path text NOT NULL,
        owner text
    )
    CREATE INDEX {bare}demo_files_unclaimed ON {prefix}demo_files (workflow_id) WHERE owner IS NULL
    CREATE TABLE {prefix}demo_records (
        workflow_id text PRIMARY KEY,
        path text NOT NULL,
        lines bigint NOT NULL,
        words bigint NOT NULL,
        bytes bigint NOT NULL,
        sha256 text NOT NULL
    )
    CREATE TABLE {prefix}demo_executions (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        workflow_id text NOT NULL,
        step_name text NOT NULL,
        worker text NOT NULL,
        pid integer NOT NULL,
        after_checkpoint boolean NOT NULL,
        began_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )

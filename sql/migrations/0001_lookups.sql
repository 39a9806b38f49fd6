-- The lookup tables of our own status and type columns.
-- Their rows come from promin_postgres.lookups.seed_lookups, so that each number stands in the code once.
CREATE TABLE {prefix}workflow_status (
    id smallint PRIMARY KEY,
    name text NOT NULL UNIQUE
);

CREATE TABLE {prefix}step_status (
    id smallint PRIMARY KEY,
    name text NOT NULL UNIQUE
);

CREATE TABLE {prefix}step_type (
    id smallint PRIMARY KEY,
    name text NOT NULL UNIQUE
);

CREATE TABLE {prefix}attempt_type (
    id smallint PRIMARY KEY,
    name text NOT NULL UNIQUE
);

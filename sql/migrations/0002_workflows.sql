-- Workflows: everything that is durable about a run.
--
-- One row in workflows stands for one workflow id and its current run; a fresh run under the same id moves the ended one
-- to workflow_runs. Steps, elements of map steps, attempts and signals hang on (workflow, run), where workflow is the
-- internal number: ids may be long (10 kB is fine), numbers keep the other tables and their indexes small.
-- The id is kept unique by an exclusion constraint on a hash index: a btree entry ends at 2.7 kB, and the hash index
-- measured the same speed and half the size.
-- There are no foreign keys between these tables: each would lock the workflow row once more for every step written.
-- A status or type is a small integer; its names stand in the lookup tables.
-- Payloads are json, not jsonb: they come back exactly as they went in (jsonb turns 1e22 into an integer).
-- pending_deps, dependents and remaining serve runs that are driven by workers; inline runs do not maintain them.

CREATE TABLE {prefix}workflows (
    id bigint GENERATED ALWAYS AS IDENTITY,
    workflow_id text NOT NULL,
    workflow_name text NOT NULL,
    workflow_type text,
    namespace text,
    version text,
    parent_id bigint,
    run integer NOT NULL DEFAULT 1,
    status smallint NOT NULL DEFAULT 1 /* PENDING */,
    remaining integer,
    input json,
    result json,
    error json,
    metadata json,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    deadline_at timestamptz,
    completed_at timestamptz,
    CONSTRAINT {bare}workflows_pkey PRIMARY KEY (id),
    CONSTRAINT {bare}workflows_workflow_id_excl EXCLUDE USING hash (workflow_id WITH =)
);

CREATE INDEX {bare}workflows_by_status ON {prefix}workflows (status, id);
CREATE INDEX {bare}workflows_by_name ON {prefix}workflows (workflow_name, id);
CREATE INDEX {bare}workflows_by_type ON {prefix}workflows (workflow_type, id) WHERE workflow_type IS NOT NULL;
CREATE INDEX {bare}workflows_by_namespace ON {prefix}workflows (namespace, id) WHERE namespace IS NOT NULL;
CREATE INDEX {bare}workflows_by_parent ON {prefix}workflows (parent_id, id) WHERE parent_id IS NOT NULL;
CREATE INDEX {bare}workflows_ended ON {prefix}workflows (status, completed_at) WHERE completed_at IS NOT NULL;

CREATE TABLE {prefix}workflow_runs (
    workflow bigint NOT NULL,
    run integer NOT NULL,
    status smallint NOT NULL,
    version text,
    input json,
    result json,
    error json,
    metadata json,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    completed_at timestamptz,
    CONSTRAINT {bare}workflow_runs_pkey PRIMARY KEY (workflow, run)
);

CREATE TABLE {prefix}workflow_steps (
    workflow bigint NOT NULL,
    run integer NOT NULL,
    step_name text NOT NULL,
    position integer,
    step_type smallint NOT NULL DEFAULT 1 /* STEP */,
    status smallint NOT NULL DEFAULT 1 /* PENDING */,
    depends_on text[] NOT NULL DEFAULT '{}',
    dependents text[] NOT NULL DEFAULT '{}',
    pending_deps integer NOT NULL DEFAULT 0,
    attempt integer NOT NULL DEFAULT 0,
    result json,
    error json,
    metadata json,
    started_at timestamptz,
    completed_at timestamptz,
    duration interval,
    wake_at timestamptz,
    signal_name text,
    signal_timeout_at timestamptz,
    CONSTRAINT {bare}workflow_steps_pkey PRIMARY KEY (workflow, run, step_name)
);

CREATE TABLE {prefix}workflow_step_tasks (
    workflow bigint NOT NULL,
    run integer NOT NULL,
    step_name text NOT NULL,
    task_index integer NOT NULL,
    status smallint NOT NULL DEFAULT 1 /* PENDING */,
    attempt integer NOT NULL DEFAULT 0,
    input json,
    result json,
    error json,
    started_at timestamptz,
    completed_at timestamptz,
    duration interval,
    CONSTRAINT {bare}workflow_step_tasks_pkey PRIMARY KEY (workflow, run, step_name, task_index)
);

-- task_index is -1 where the attempt is at the step itself and not at an element of it.
CREATE TABLE {prefix}step_attempts (
    workflow bigint NOT NULL,
    run integer NOT NULL,
    step_name text NOT NULL,
    task_index integer NOT NULL DEFAULT -1,
    attempt_type smallint NOT NULL DEFAULT 1 /* EXECUTION */,
    attempt integer NOT NULL,
    status smallint NOT NULL,
    error json,
    instance_id text,
    started_at timestamptz NOT NULL,
    completed_at timestamptz NOT NULL,
    duration interval,
    CONSTRAINT {bare}step_attempts_pkey PRIMARY KEY (workflow, run, step_name, task_index, attempt_type, attempt)
);

-- One row per signal name, where deliveries and the waiting step meet: both write it with INSERT ... ON CONFLICT DO
-- UPDATE, which sees the newest version of the row, so that whoever comes second sees the other. The first `consumed` of
-- the payloads went to steps.
CREATE TABLE {prefix}workflow_signals (
    workflow bigint NOT NULL,
    run integer NOT NULL,
    signal_name text NOT NULL,
    payloads json[] NOT NULL DEFAULT '{}',
    delivered_at timestamptz[] NOT NULL DEFAULT '{}',
    consumed integer NOT NULL DEFAULT 0,
    waiting_step text,
    CONSTRAINT {bare}workflow_signals_pkey PRIMARY KEY (workflow, run, signal_name)
);

-- Whoever drives a workflow holds its row here. Every write of the driver takes the row FOR KEY SHARE where the token is
-- its own. The token is a key, so that a takeover, which changes it, waits for writes under way, and no write can follow
-- it; a renewal, which does not, waits for none, however long the transaction of a step is open. expires_at is NULL under
-- an advisory lock, which ends with its connection.
CREATE TABLE {prefix}workflow_leases (
    workflow bigint NOT NULL,
    token uuid NOT NULL,
    holder text NOT NULL,
    acquired_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz,
    CONSTRAINT {bare}workflow_leases_pkey PRIMARY KEY (workflow),
    CONSTRAINT {bare}workflow_leases_token_key UNIQUE (token)
);

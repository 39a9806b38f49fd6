-- What the migrations make. Written by tests/_schema.py, compared by tests/statements/test_schema.py.
CREATE TABLE wf_attempt_type (
    id smallint NOT NULL,
    name text NOT NULL,
    CONSTRAINT wf_attempt_type_name_key UNIQUE (name),
    CONSTRAINT wf_attempt_type_pkey PRIMARY KEY (id)
);
CREATE TABLE wf_change_consumers (
    stream integer NOT NULL,
    consumer text NOT NULL,
    "position" text NOT NULL,
    token uuid,
    holder text,
    expires_at timestamp with time zone,
    acked_at timestamp with time zone,
    CONSTRAINT wf_change_consumers_pkey PRIMARY KEY (stream, consumer)
);
CREATE TABLE wf_change_streams (
    id integer NOT NULL GENERATED ALWAYS AS IDENTITY,
    table_schema text NOT NULL,
    table_name text NOT NULL,
    channel text NOT NULL,
    door bigint NOT NULL,
    operations text[] NOT NULL,
    key_columns text[] NOT NULL,
    columns text[],
    condition text,
    pruned_through xid8 NOT NULL DEFAULT '0'::xid8,
    CONSTRAINT wf_change_streams_pkey PRIMARY KEY (id),
    CONSTRAINT wf_change_streams_table_key UNIQUE (table_schema, table_name)
);
CREATE TABLE wf_changes (
    seq bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    stream integer NOT NULL,
    op text NOT NULL,
    rows integer NOT NULL,
    bytes bigint NOT NULL,
    old json[],
    new json[],
    changed_at timestamp with time zone NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX wf_changes_by_seq ON wf_changes USING btree (stream, seq, xid);
CREATE INDEX wf_changes_by_xid ON wf_changes USING btree (stream, xid, seq);
CREATE TYPE wf_completed_task (
    id bigint,
    run integer,
    priority smallint,
    attempt integer,
    deliveries integer,
    concurrency_limit integer,
    created_at timestamp with time zone,
    claimed_at timestamp with time zone,
    duration interval,
    workflow_id text,
    step_name text,
    namespace text,
    concurrency_key text,
    input json,
    prev_results json,
    result json
);
CREATE VIEW wf_finished_tasks (
    id bigint,
    run integer,
    priority smallint,
    status integer,
    attempt integer,
    deliveries integer,
    concurrency_limit integer,
    created_at timestamp with time zone,
    claimed_at timestamp with time zone,
    completed_at timestamp with time zone,
    duration interval,
    claimed_by text,
    queue text,
    workflow_id text,
    step_name text,
    namespace text,
    concurrency_key text,
    input json,
    prev_results json,
    result json,
    error json
);
CREATE TABLE wf_migrations (
    version integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone,
    duration interval,
    CONSTRAINT wf_migrations_pkey PRIMARY KEY (version)
);
CREATE TABLE wf_paused_queues (
    queue text NOT NULL,
    paused_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT wf_paused_queues_pkey PRIMARY KEY (queue)
);
CREATE TABLE wf_schedule_ticks (
    id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    schedule bigint NOT NULL,
    number bigint NOT NULL,
    namespace text NOT NULL,
    kind text NOT NULL,
    catch_up boolean NOT NULL,
    scheduled_at timestamp with time zone NOT NULL,
    previous_at timestamp with time zone,
    fired_at timestamp with time zone NOT NULL,
    status text NOT NULL,
    reason text,
    deliveries integer NOT NULL DEFAULT 0,
    leased_until timestamp with time zone,
    receipt bigint,
    workflow_id text,
    settled_at timestamp with time zone,
    CONSTRAINT wf_schedule_ticks_pkey PRIMARY KEY (schedule, number)
);
CREATE UNIQUE INDEX wf_schedule_ticks_fire_key ON wf_schedule_ticks USING btree (schedule, kind, scheduled_at) WHERE (kind <> 'manual'::text);
CREATE INDEX wf_schedule_ticks_open ON wf_schedule_ticks USING btree (schedule, number) WHERE (status = ANY (ARRAY['ready'::text, 'queued'::text]));
CREATE INDEX wf_schedule_ticks_queued ON wf_schedule_ticks USING btree (namespace, schedule, number) WHERE (status = 'queued'::text);
CREATE INDEX wf_schedule_ticks_ready ON wf_schedule_ticks USING btree (namespace, id) WHERE ((status = 'ready'::text) AND (workflow_id IS NULL));
CREATE INDEX wf_schedule_ticks_run ON wf_schedule_ticks USING btree (workflow_id) WHERE (workflow_id IS NOT NULL);
CREATE TABLE wf_scheduler_leases (
    namespace text NOT NULL,
    token uuid NOT NULL,
    instance_id text NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT wf_scheduler_leases_pkey PRIMARY KEY (namespace)
);
CREATE TABLE wf_schedules (
    id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    namespace text NOT NULL,
    schedule_id text NOT NULL,
    name text NOT NULL,
    cron text,
    every interval,
    rrule text,
    timezone text NOT NULL,
    overlap_policy text NOT NULL,
    buffer_limit integer NOT NULL,
    max_catch_up integer NOT NULL,
    jitter interval NOT NULL,
    dst_gap text NOT NULL,
    dst_fold text NOT NULL,
    enabled boolean NOT NULL,
    start_at timestamp with time zone,
    end_at timestamp with time zone,
    max_fires bigint,
    pause_on_failure boolean NOT NULL,
    metadata json,
    anchor_at timestamp with time zone NOT NULL,
    scheduled_at timestamp with time zone,
    due_at timestamp with time zone,
    last_scheduled_at timestamp with time zone,
    ticks bigint NOT NULL DEFAULT 0,
    fires bigint NOT NULL DEFAULT 0,
    missed bigint NOT NULL DEFAULT 0,
    paused_at timestamp with time zone,
    pause_reason text,
    error text,
    created_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    workflow text,
    CONSTRAINT wf_schedules_pkey PRIMARY KEY (id),
    CONSTRAINT wf_schedules_schedule_id_key UNIQUE (namespace, schedule_id),
    CONSTRAINT wf_schedules_trigger_check CHECK ((num_nonnulls(cron, every, rrule) = 1))
);
CREATE INDEX wf_schedules_due ON wf_schedules USING btree (namespace, due_at) WHERE (due_at IS NOT NULL);
CREATE TABLE wf_step_attempts (
    workflow bigint NOT NULL,
    run integer NOT NULL,
    step_name text NOT NULL,
    task_index integer NOT NULL DEFAULT '-1'::integer,
    attempt_type smallint NOT NULL DEFAULT 1,
    attempt integer NOT NULL,
    status smallint NOT NULL,
    error json,
    instance_id text,
    started_at timestamp with time zone NOT NULL,
    completed_at timestamp with time zone NOT NULL,
    duration interval,
    CONSTRAINT wf_step_attempts_pkey PRIMARY KEY (workflow, run, step_name, task_index, attempt_type, attempt)
);
CREATE TABLE wf_step_batches (
    number integer NOT NULL,
    completed_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    span int8range NOT NULL,
    claimed_by text,
    queue text NOT NULL,
    ids bigint[] NOT NULL,
    tasks wf_completed_task[] NOT NULL
);
CREATE INDEX wf_step_batches_by_age ON wf_step_batches USING brin (completed_at) WITH (autosummarize='true');
CREATE INDEX wf_step_batches_by_id ON wf_step_batches USING gist (span);
CREATE TABLE wf_step_history (
    id bigint NOT NULL,
    run integer NOT NULL,
    priority smallint NOT NULL,
    status smallint NOT NULL,
    attempt integer NOT NULL,
    deliveries integer NOT NULL,
    concurrency_limit integer,
    created_at timestamp with time zone NOT NULL,
    claimed_at timestamp with time zone,
    completed_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    duration interval,
    claimed_by text,
    queue text NOT NULL,
    workflow_id text NOT NULL,
    step_name text NOT NULL,
    namespace text,
    concurrency_key text,
    input json,
    prev_results json,
    result json,
    error json,
    CONSTRAINT wf_step_history_pkey PRIMARY KEY (id)
);
CREATE INDEX wf_step_history_by_age ON wf_step_history USING brin (completed_at) WITH (autosummarize='true');
CREATE INDEX wf_step_history_dead ON wf_step_history USING btree (queue, id) WHERE (status = 9);
CREATE TABLE wf_step_limits (
    concurrency_key text NOT NULL,
    seats integer NOT NULL,
    taken integer NOT NULL,
    granted integer NOT NULL,
    CONSTRAINT wf_step_limits_pkey PRIMARY KEY (concurrency_key)
);
CREATE TABLE wf_step_queue (
    id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    lane bigint NOT NULL GENERATED ALWAYS AS hashtextextended(workflow_id, (0)::bigint),
    run integer NOT NULL DEFAULT 1,
    priority smallint NOT NULL,
    gate smallint NOT NULL DEFAULT 0,
    holds_seat boolean NOT NULL DEFAULT false,
    attempt integer NOT NULL DEFAULT 1,
    deliveries integer NOT NULL DEFAULT 0,
    lease integer NOT NULL DEFAULT 0,
    concurrency_limit integer,
    created_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    available_at timestamp with time zone,
    claimed_at timestamp with time zone,
    claimed_by text,
    queue text NOT NULL,
    workflow_id text NOT NULL,
    step_name text NOT NULL,
    namespace text,
    concurrency_key text,
    input json,
    prev_results json,
    error json,
    workflow bigint,
    definition text,
    waits_for text,
    CONSTRAINT wf_step_queue_pkey PRIMARY KEY (id)
) WITH (fillfactor=40);
CREATE INDEX wf_step_queue_delayed ON wf_step_queue USING btree (available_at) WHERE (gate = 1);
CREATE INDEX wf_step_queue_lanes ON wf_step_queue USING btree (queue COLLATE "POSIX", lane, priority DESC, id) WHERE (gate < 1);
CREATE INDEX wf_step_queue_lanes_in_namespace ON wf_step_queue USING btree (namespace, queue COLLATE "POSIX", lane, priority DESC, id) WHERE ((gate < 1) AND (namespace IS NOT NULL));
CREATE INDEX wf_step_queue_parked ON wf_step_queue USING btree (concurrency_key, queue, priority DESC, id) WHERE (gate = 2);
CREATE INDEX wf_step_queue_ready ON wf_step_queue USING btree (queue, priority, id) WHERE (gate < 1);
CREATE INDEX wf_step_queue_ready_in_namespace ON wf_step_queue USING btree (namespace, queue, priority, id) WHERE ((gate < 1) AND (namespace IS NOT NULL));
CREATE UNIQUE INDEX wf_step_queue_unfinished ON wf_step_queue USING btree (lane, run, hashtextextended(step_name, (0)::bigint), ((definition IS NULL)));
CREATE TABLE wf_step_status (
    id smallint NOT NULL,
    name text NOT NULL,
    CONSTRAINT wf_step_status_name_key UNIQUE (name),
    CONSTRAINT wf_step_status_pkey PRIMARY KEY (id)
);
CREATE TABLE wf_step_type (
    id smallint NOT NULL,
    name text NOT NULL,
    CONSTRAINT wf_step_type_name_key UNIQUE (name),
    CONSTRAINT wf_step_type_pkey PRIMARY KEY (id)
);
CREATE TABLE wf_task_status (
    id smallint NOT NULL,
    name text NOT NULL,
    CONSTRAINT wf_task_status_name_key UNIQUE (name),
    CONSTRAINT wf_task_status_pkey PRIMARY KEY (id)
);
CREATE TABLE wf_workers (
    id text NOT NULL,
    started_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    seen_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT wf_workers_pkey PRIMARY KEY (id)
);
CREATE TABLE wf_workflow_leases (
    workflow bigint NOT NULL,
    token uuid NOT NULL,
    holder text NOT NULL,
    acquired_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamp with time zone,
    lock_key bigint,
    CONSTRAINT wf_workflow_leases_pkey PRIMARY KEY (workflow),
    CONSTRAINT wf_workflow_leases_token_key UNIQUE (token)
);
CREATE TABLE wf_workflow_runs (
    workflow bigint NOT NULL,
    run integer NOT NULL,
    status smallint NOT NULL,
    version text,
    input json,
    result json,
    error json,
    metadata json,
    created_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    completed_at timestamp with time zone,
    CONSTRAINT wf_workflow_runs_pkey PRIMARY KEY (workflow, run)
);
CREATE TABLE wf_workflow_signals (
    workflow bigint NOT NULL,
    run integer NOT NULL,
    signal_name text NOT NULL,
    payloads json[] NOT NULL DEFAULT '{}'::json[],
    delivered_at timestamp with time zone[] NOT NULL DEFAULT '{}'::timestamp with time zone[],
    consumed integer NOT NULL DEFAULT 0,
    waiting text[] NOT NULL DEFAULT '{}'::text[],
    CONSTRAINT wf_workflow_signals_pkey PRIMARY KEY (workflow, run, signal_name)
);
CREATE TABLE wf_workflow_status (
    id smallint NOT NULL,
    name text NOT NULL,
    CONSTRAINT wf_workflow_status_name_key UNIQUE (name),
    CONSTRAINT wf_workflow_status_pkey PRIMARY KEY (id)
);
CREATE TABLE wf_workflow_step_tasks (
    workflow bigint NOT NULL,
    run integer NOT NULL,
    step_name text NOT NULL,
    task_index integer NOT NULL,
    status smallint NOT NULL DEFAULT 1,
    attempt integer NOT NULL DEFAULT 0,
    input json,
    result json,
    error json,
    started_at timestamp with time zone,
    completed_at timestamp with time zone,
    duration interval,
    CONSTRAINT wf_workflow_step_tasks_pkey PRIMARY KEY (workflow, run, step_name, task_index)
);
CREATE TABLE wf_workflow_steps (
    workflow bigint NOT NULL,
    run integer NOT NULL,
    step_name text NOT NULL,
    "position" integer,
    step_type smallint NOT NULL DEFAULT 1,
    status smallint NOT NULL DEFAULT 1,
    depends_on text[] NOT NULL DEFAULT '{}'::text[],
    dependents text[] NOT NULL DEFAULT '{}'::text[],
    pending_deps integer NOT NULL DEFAULT 0,
    attempt integer NOT NULL DEFAULT 0,
    result json,
    error json,
    metadata json,
    started_at timestamp with time zone,
    completed_at timestamp with time zone,
    duration interval,
    wake_at timestamp with time zone,
    signal_name text,
    signal_timeout_at timestamp with time zone,
    queue text NOT NULL DEFAULT 'default'::text,
    priority smallint NOT NULL DEFAULT 5,
    pause interval,
    signal_index integer,
    CONSTRAINT wf_workflow_steps_pkey PRIMARY KEY (workflow, run, step_name)
);
CREATE TABLE wf_workflows (
    id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    workflow_id text NOT NULL,
    workflow_name text NOT NULL,
    workflow_type text,
    namespace text,
    version text,
    parent_id bigint,
    run integer NOT NULL DEFAULT 1,
    status smallint NOT NULL DEFAULT 1,
    remaining integer,
    input json,
    result json,
    error json,
    metadata json,
    created_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    started_at timestamp with time zone,
    updated_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    deadline_at timestamp with time zone,
    completed_at timestamp with time zone,
    parent_step text,
    ends_in_task boolean NOT NULL DEFAULT false,
    ending boolean NOT NULL DEFAULT false,
    retries integer NOT NULL DEFAULT 0,
    CONSTRAINT wf_workflows_pkey PRIMARY KEY (id),
    CONSTRAINT wf_workflows_workflow_id_excl EXCLUDE USING hash (workflow_id WITH =)
);
CREATE INDEX wf_workflows_by_name ON wf_workflows USING btree (workflow_name, id);
CREATE INDEX wf_workflows_by_namespace ON wf_workflows USING btree (namespace, id) WHERE (namespace IS NOT NULL);
CREATE INDEX wf_workflows_by_parent ON wf_workflows USING btree (parent_id, id) WHERE (parent_id IS NOT NULL);
CREATE INDEX wf_workflows_by_status ON wf_workflows USING btree (status, id);
CREATE INDEX wf_workflows_by_type ON wf_workflows USING btree (workflow_type, id) WHERE (workflow_type IS NOT NULL);
CREATE INDEX wf_workflows_ended ON wf_workflows USING btree (status, completed_at) WHERE (completed_at IS NOT NULL);
CREATE INDEX wf_workflows_waiting_inline ON wf_workflows USING btree (id) WHERE ((status = 3) AND (remaining IS NULL));

-- The scheduler: schedules, the ticks they made, and who looks after them.
--
-- scheduled_at is the fire time that comes next, and due_at when its tick is due: with jitter, and NULL while nothing
-- may fire. So the due rows, and the next one to come, are the head of one partial index. Intervals and recurrence rules
-- count from anchor_at. A schedule with an error could not be evaluated and stands aside until it is mended.
CREATE TABLE {prefix}schedules (
    id bigint GENERATED ALWAYS AS IDENTITY,
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
    start_at timestamptz,
    end_at timestamptz,
    max_fires bigint,
    pause_on_failure boolean NOT NULL,
    metadata json,
    anchor_at timestamptz NOT NULL,
    scheduled_at timestamptz,
    due_at timestamptz,
    last_scheduled_at timestamptz,
    ticks bigint NOT NULL DEFAULT 0,
    fires bigint NOT NULL DEFAULT 0,
    missed bigint NOT NULL DEFAULT 0,
    paused_at timestamptz,
    pause_reason text,
    error text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT {bare}schedules_pkey PRIMARY KEY (id),
    CONSTRAINT {bare}schedules_schedule_id_key UNIQUE (namespace, schedule_id),
    CONSTRAINT {bare}schedules_trigger_check CHECK (num_nonnulls(cron, every, rrule) = 1)
);

CREATE INDEX {bare}schedules_due ON {prefix}schedules (namespace, due_at) WHERE due_at IS NOT NULL;

-- A tick is ready (handed out, or being worked on), queued behind one that is, settled, skipped or cancelled. Whoever
-- shows the receipt of an unexpired lease settles it. The fire key is what makes a fire time fire once: a tick that makes
-- up for a missed one is of the same kind. workflow_id is the run that a tick has started itself: such a tick is handed
-- to nobody, and settled with its run.
CREATE TABLE {prefix}schedule_ticks (
    id bigint GENERATED ALWAYS AS IDENTITY,
    schedule bigint NOT NULL,
    number bigint NOT NULL,
    namespace text NOT NULL,
    kind text NOT NULL,
    catch_up boolean NOT NULL,
    scheduled_at timestamptz NOT NULL,
    previous_at timestamptz,
    fired_at timestamptz NOT NULL,
    status text NOT NULL,
    reason text,
    deliveries integer NOT NULL DEFAULT 0,
    leased_until timestamptz,
    receipt bigint,
    workflow_id text,
    settled_at timestamptz,
    CONSTRAINT {bare}schedule_ticks_pkey PRIMARY KEY (schedule, number)
);

CREATE UNIQUE INDEX {bare}schedule_ticks_fire_key ON {prefix}schedule_ticks (schedule, kind, scheduled_at)
    WHERE kind <> 'manual';
CREATE INDEX {bare}schedule_ticks_ready ON {prefix}schedule_ticks (namespace, id)
    WHERE status = 'ready' AND workflow_id IS NULL;
CREATE INDEX {bare}schedule_ticks_open ON {prefix}schedule_ticks (schedule, number) WHERE status IN ('ready', 'queued');
CREATE INDEX {bare}schedule_ticks_queued ON {prefix}schedule_ticks (namespace, schedule, number)
    WHERE status = 'queued';
CREATE INDEX {bare}schedule_ticks_run ON {prefix}schedule_ticks (workflow_id) WHERE workflow_id IS NOT NULL;

-- Whoever holds the unexpired lease of a namespace looks after its schedules; the others only look whether it is free.
CREATE TABLE {prefix}scheduler_leases (
    namespace text NOT NULL,
    token uuid NOT NULL,
    instance_id text NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT {bare}scheduler_leases_pkey PRIMARY KEY (namespace)
);

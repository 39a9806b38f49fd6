-- The step queue: tasks that workers claim, and what is left of them.
--
-- step_queue holds what is pending or running and nothing else, so that it stays small; a settled task moves to
-- step_history. `gate` says what a pending task waits for: 0 a worker, 1 its moment (available_at), 2 a seat of its
-- concurrency key. A claim changes claimed_by, claimed_at, deliveries and lease: none of them stands in an index, and half
-- of each page is left free, so that claims stay on their page and touch no index (HOT). That rules out an index on
-- claimed_by; tasks of dead workers are found at the front of the queue, where the oldest tasks are.
-- `lease` goes up at each claim and never down: whoever settles a task must show it, with his name.
-- The indexes of the levels and of the lanes bear their queues in two collations of the same order, and ask for a gate below
-- 1 and not for 0, so that no query may use one for the other, and so that a planner without statistics believes that much
-- is waiting and goes by an index in its order.
-- Ids and names of steps may be long: they are unique by their hashes, and whoever meets a taken place compares the texts.

CREATE TABLE {prefix}task_status (
    id smallint PRIMARY KEY,
    name text NOT NULL UNIQUE
);

CREATE TABLE {prefix}step_queue (
    id bigint GENERATED ALWAYS AS IDENTITY,
    lane bigint NOT NULL GENERATED ALWAYS AS (hashtextextended(workflow_id, 0)) STORED,
    run integer NOT NULL DEFAULT 1,
    priority smallint NOT NULL,
    gate smallint NOT NULL DEFAULT 0,
    holds_seat boolean NOT NULL DEFAULT false,
    attempt integer NOT NULL DEFAULT 1,
    deliveries integer NOT NULL DEFAULT 0,
    lease integer NOT NULL DEFAULT 0,
    concurrency_limit integer,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    available_at timestamptz,
    claimed_at timestamptz,
    claimed_by text,
    queue text COLLATE "C" NOT NULL,
    workflow_id text NOT NULL,
    step_name text NOT NULL,
    namespace text,
    concurrency_key text,
    input json,
    prev_results json,
    error json,
    CONSTRAINT {bare}step_queue_pkey PRIMARY KEY (id)
) WITH (fillfactor = 50);

CREATE UNIQUE INDEX {bare}step_queue_unfinished ON {prefix}step_queue (lane, run, hashtextextended(step_name, 0));
CREATE INDEX {bare}step_queue_ready ON {prefix}step_queue (queue, priority, id) WHERE gate < 1;
CREATE INDEX {bare}step_queue_lanes ON {prefix}step_queue (queue COLLATE "POSIX", lane, priority DESC, id) WHERE gate < 1;
CREATE INDEX {bare}step_queue_ready_in_namespace ON {prefix}step_queue (namespace, queue, priority, id)
    WHERE gate < 1 AND namespace IS NOT NULL;
CREATE INDEX {bare}step_queue_lanes_in_namespace ON {prefix}step_queue (namespace, queue COLLATE "POSIX", lane, priority DESC, id)
    WHERE gate < 1 AND namespace IS NOT NULL;
CREATE INDEX {bare}step_queue_delayed ON {prefix}step_queue (available_at) WHERE gate = 1;
CREATE INDEX {bare}step_queue_parked ON {prefix}step_queue (concurrency_key, queue, priority DESC, id) WHERE gate = 2;

CREATE TABLE {prefix}step_history (
    id bigint NOT NULL,
    run integer NOT NULL,
    priority smallint NOT NULL,
    status smallint NOT NULL,
    attempt integer NOT NULL,
    deliveries integer NOT NULL,
    concurrency_limit integer,
    created_at timestamptz NOT NULL,
    claimed_at timestamptz,
    completed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    duration interval,
    claimed_by text,
    queue text COLLATE "C" NOT NULL,
    workflow_id text NOT NULL,
    step_name text NOT NULL,
    namespace text,
    concurrency_key text,
    input json,
    prev_results json,
    result json,
    error json,
    CONSTRAINT {bare}step_history_pkey PRIMARY KEY (id)
);

-- Rows come in the order of their completion, so a summary of the pages is enough to find the old ones.
CREATE INDEX {bare}step_history_by_age ON {prefix}step_history USING brin (completed_at) WITH (autosummarize = true);
CREATE INDEX {bare}step_history_dead ON {prefix}step_history (queue, id) WHERE status = 9 /* DEAD */;

-- Who claims. A worker lives until expires_at; what it holds after that is anybody's.
CREATE TABLE {prefix}workers (
    id text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    CONSTRAINT {bare}workers_pkey PRIMARY KEY (id)
);

-- Seats of the concurrency keys in use: how many there are, how many are taken, how many the last claim was given.
CREATE TABLE {prefix}step_limits (
    concurrency_key text NOT NULL,
    seats integer NOT NULL,
    taken integer NOT NULL,
    granted integer NOT NULL,
    CONSTRAINT {bare}step_limits_pkey PRIMARY KEY (concurrency_key)
);

CREATE TABLE {prefix}paused_queues (
    queue text NOT NULL,
    paused_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT {bare}paused_queues_pkey PRIMARY KEY (queue)
);

-- What was completed is kept by batch, as it was settled.
--
-- A row for each task took a quarter of the time of claim and settlement. Tasks that failed or are dead, and large ones,
-- still have a row each in step_history; so have those that were completed before this migration.
-- `span` goes from the lowest to the highest id: where batches overlap, `ids` says which one has a task.
-- Tasks that are read by SQL are in the view finished_tasks, all of them and one by one.
CREATE TYPE {prefix}completed_task AS (
    id bigint,
    run integer,
    priority smallint,
    attempt integer,
    deliveries integer,
    concurrency_limit integer,
    created_at timestamptz,
    claimed_at timestamptz,
    duration interval,
    workflow_id text,
    step_name text,
    namespace text,
    concurrency_key text,
    input json,
    prev_results json,
    result json
);

CREATE TABLE {prefix}step_batches (
    number integer NOT NULL,
    completed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    span int8range NOT NULL,
    claimed_by text,
    queue text COLLATE "C" NOT NULL,
    ids bigint[] NOT NULL,
    tasks {prefix}completed_task[] NOT NULL
);

CREATE INDEX {bare}step_batches_by_id ON {prefix}step_batches USING gist (span);
CREATE INDEX {bare}step_batches_by_age ON {prefix}step_batches USING brin (completed_at) WITH (autosummarize = true);

DO $promin$
BEGIN
    ALTER TABLE {prefix}step_batches ALTER ids SET COMPRESSION lz4, ALTER tasks SET COMPRESSION lz4;
EXCEPTION
    WHEN feature_not_supported THEN NULL;
END
$promin$;

CREATE VIEW {prefix}finished_tasks AS
SELECT h.id, h.run, h.priority, h.status, h.attempt, h.deliveries, h.concurrency_limit, h.created_at, h.claimed_at,
       h.completed_at, h.duration, h.claimed_by, h.queue, h.workflow_id, h.step_name, h.namespace, h.concurrency_key,
       h.input, h.prev_results, h.result, h.error
FROM {prefix}step_history h
UNION ALL
SELECT t.id, t.run, t.priority, 4 /* COMPLETED */, t.attempt, t.deliveries, t.concurrency_limit, t.created_at, t.claimed_at,
       b.completed_at, t.duration, b.claimed_by, b.queue, t.workflow_id, t.step_name, t.namespace, t.concurrency_key,
       t.input, t.prev_results, t.result, NULL
FROM {prefix}step_batches b
CROSS JOIN LATERAL unnest(b.tasks) AS t;

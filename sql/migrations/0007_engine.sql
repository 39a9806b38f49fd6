-- The engine: what the server alone needs to know to carry a run from one task to the next.
--
-- Of a run that workers drive `remaining` steps without dependents are not done; NULL: it is driven inline. Its end is
-- written by the statement that settles the last step, or, where it ends_in_task, by whoever executes a task without a
-- step. That task ends a run that has failed, too; while a run is `ending`, no step of it begins. `retries` counts how
-- often the whole run began again where it had failed.
ALTER TABLE {prefix}workflows
    ADD COLUMN parent_step text,
    ADD COLUMN ends_in_task boolean NOT NULL DEFAULT false,
    ADD COLUMN ending boolean NOT NULL DEFAULT false,
    ADD COLUMN retries integer NOT NULL DEFAULT 0;

ALTER TABLE {prefix}workflow_steps
    ADD COLUMN queue text NOT NULL DEFAULT 'default',
    ADD COLUMN priority smallint NOT NULL DEFAULT 5,
    ADD COLUMN pause interval,
    ADD COLUMN signal_index integer;

-- Steps that wait for the next payload; whoever delivers one wakes them all. `consumed` payloads went to steps, of which
-- each remembers which one it was given (signal_index).
ALTER TABLE {prefix}workflow_signals
    DROP COLUMN waiting_step,
    ADD COLUMN waiting text[] NOT NULL DEFAULT '{}';

-- Runs that wait inline, which a worker takes over when they are due; whose session lock a lease without an end is.
CREATE INDEX {bare}workflows_waiting_inline ON {prefix}workflows (id) WHERE status = 3 /* SUSPENDED */ AND remaining IS NULL;

ALTER TABLE {prefix}workflow_leases
    ADD COLUMN lock_key bigint;

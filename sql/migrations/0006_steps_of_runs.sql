-- Tasks that are steps of runs.
--
-- Such a task bears the number of its workflow and the definition that it is executed by; other tasks have neither. One that
-- waits for a signal or for a child says for what, at gate 1; without a moment it waits for nothing else.
ALTER TABLE {prefix}step_queue
    ADD COLUMN workflow bigint,
    ADD COLUMN definition text,
    ADD COLUMN waits_for text;

DROP INDEX {prefix}step_queue_unfinished;
CREATE UNIQUE INDEX {bare}step_queue_unfinished
    ON {prefix}step_queue (lane, run, hashtextextended(step_name, 0), (definition IS NULL));

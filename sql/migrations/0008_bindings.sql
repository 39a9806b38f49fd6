-- Schedules whose ticks start runs of a workflow, by its name.
--
-- A tick of such a schedule has an empty workflow_id until its run is started, so that it is handed to nobody: in the
-- transaction that makes it where the scheduler knows the workflow, and else by one that does.
ALTER TABLE {prefix}schedules ADD COLUMN workflow text;

-- Checkpoint a step and record the attempt at it, in one statement. Gives back where the run stands, so that its driver
-- hears of a cancellation without asking.
WITH {{workflow/parts/saved_step}}
SELECT w.status
FROM saved
JOIN {prefix}workflows w ON w.id = saved.workflow

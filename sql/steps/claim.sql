-- Lease the first tasks of some queues: the highest level first, and of a level the oldest.
--
-- Each level of each queue is one probe of the index, behind the last task that this claimer was given there (`after`):
-- the dead entries of what was claimed before are what makes such queues slow. The probes run until the limit is full.
-- The candidates are an array (an InitPlan, run once).
-- A claim that is lost in a crash of the server only makes tasks pending again, so it does not wait for the disk.
WITH {{steps/parts/open}}, {{steps/parts/alive}}, {{steps/parts/strict}}
{{steps/parts/lease}}
WHERE q.ctid = ANY (ARRAY(
    {{steps/parts/pick}}
))
  AND (SELECT set_config('synchronous_commit', 'off', true)) IS NOT NULL
RETURNING {{steps/parts/leased}}

-- Let the open ticks of a schedule start runs too. One that a consumer works on is left to it.
UPDATE {prefix}schedule_ticks t
SET workflow_id = ''
WHERE t.schedule = %(schedule)s::bigint AND t.status IN ('ready', 'queued') AND t.workflow_id IS NULL
  AND (t.leased_until IS NULL OR t.leased_until <= clock_timestamp())

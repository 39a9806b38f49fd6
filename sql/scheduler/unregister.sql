-- Remove schedules: those of these ids, or all but those.
--
-- Their ticks go by another statement of the same transaction (drop_ticks.sql), which sees those that were made while
-- this one waited for the rows.
DELETE FROM {prefix}schedules s
WHERE s.namespace = %(namespace)s::text
  AND (s.schedule_id = ANY (%(schedule_ids)s::text[])) <> %(all_but)s::boolean
RETURNING s.id

-- Remove the ticks of schedules that are gone.
DELETE FROM {prefix}schedule_ticks t WHERE t.schedule = ANY (%(ids)s::bigint[])

-- Ticks of some schedules that are not settled. Read after the schedules were locked, so that none is added meanwhile.
SELECT given.id AS schedule, counts.ready, counts.queued
FROM unnest(%(ids)s::bigint[]) AS given (id)
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE t.status = 'ready') AS ready, count(*) FILTER (WHERE t.status = 'queued') AS queued
    FROM {prefix}schedule_ticks t
    WHERE t.schedule = given.id AND t.status IN ('ready', 'queued')
) AS counts

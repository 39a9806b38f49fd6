-- Make ticks, move their schedules on, and ring if a consumer waits.
--
-- The schedules are locked by this transaction. A fire time that has a tick already makes no other one: that is the
-- last word, whatever a scheduler believes. The bell is that of queue/publish.sql.
WITH made AS (
    INSERT INTO {prefix}schedule_ticks (
        schedule, number, namespace, kind, catch_up, scheduled_at, previous_at, fired_at, status, reason, settled_at,
        workflow_id
    )
    SELECT g.schedule, g.number, %(namespace)s::text, g.kind, g.catch_up, g.scheduled_at, g.previous_at, g.fired_at,
           g.status, g.reason, CASE WHEN g.status IN ('skipped', 'cancelled') THEN clock_timestamp() END,
           CASE WHEN s.workflow IS NOT NULL THEN '' END
    FROM (
        SELECT u.schedule, u.number, u.kind, u.catch_up, u.scheduled_at, u.previous_at, u.status, u.reason,
               COALESCE(%(clock)s::timestamptz, clock_timestamp()) AS fired_at
        FROM unnest(
            %(schedules)s::bigint[], %(numbers)s::bigint[], %(kinds)s::text[], %(catch_ups)s::boolean[],
            %(moments)s::timestamptz[], %(previous)s::timestamptz[], %(statuses)s::text[], %(reasons)s::text[]
        ) AS u (schedule, number, kind, catch_up, scheduled_at, previous_at, status, reason)
    ) AS g
    JOIN {prefix}schedules s ON s.id = g.schedule
    ORDER BY g.schedule, g.number
    ON CONFLICT (schedule, kind, scheduled_at) WHERE kind <> 'manual' DO NOTHING
    RETURNING schedule, number, kind, catch_up, scheduled_at, previous_at, fired_at, status, reason
), moved AS (
    UPDATE {prefix}schedules s
    SET scheduled_at = u.next_at, due_at = u.due_at, last_scheduled_at = u.last_at, ticks = u.ticks, fires = u.fires,
        missed = u.missed
    FROM unnest(
        %(ids)s::bigint[], %(next_at)s::timestamptz[], %(due_at)s::timestamptz[], %(last_at)s::timestamptz[],
        %(ticks)s::bigint[], %(fires)s::bigint[], %(missed)s::bigint[]
    ) AS u (id, next_at, due_at, last_at, ticks, fires, missed)
    WHERE s.id = u.id
    RETURNING s.id
)
SELECT m.schedule, m.number, m.kind, m.catch_up, m.scheduled_at, m.previous_at, m.fired_at, m.status, m.reason
FROM made m
WHERE (SELECT CASE
                  WHEN NOT %(ring)s::boolean AND pg_try_advisory_xact_lock_shared(%(door)s::bigint) THEN true
                  ELSE pg_notify(%(channel)s::text, '') IS NOT NULL
              END)
ORDER BY m.schedule, m.number

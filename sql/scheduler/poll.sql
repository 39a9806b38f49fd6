-- One look of a scheduler: take or keep the lease if it is free or ours, and say when the next schedule is due.
--
-- The one statement of an idle scheduler. The lease is written when half of it is used up, not at every look, and never
-- by those who do not hold it. Only leadership goes by this lease, and by the real clock: a scheduler that fires after
-- it has lost it does no harm (see lock_due.sql). The wait is bounded first, because a moment that somebody set to
-- infinity has no distance from now.
WITH held AS MATERIALIZED (
    SELECT l.token, l.instance_id, l.expires_at
    FROM {prefix}scheduler_leases l
    WHERE l.namespace = %(namespace)s::text AND l.expires_at > clock_timestamp()
), taken AS (
    INSERT INTO {prefix}scheduler_leases AS l (namespace, token, instance_id, expires_at)
    SELECT %(namespace)s::text, %(token)s::uuid, %(instance_id)s::text, clock_timestamp() + %(lease)s::interval
    WHERE NOT EXISTS (
        SELECT FROM held h
        WHERE h.token <> %(token)s::uuid OR h.expires_at > clock_timestamp() + %(lease)s::interval / 2
    )
    ON CONFLICT (namespace) DO UPDATE
    SET token = EXCLUDED.token, instance_id = EXCLUDED.instance_id, expires_at = EXCLUDED.expires_at
    WHERE l.token = EXCLUDED.token OR l.expires_at <= clock_timestamp()
    RETURNING l.instance_id
), moment AS MATERIALIZED (
    SELECT COALESCE(%(clock)s::timestamptz, clock_timestamp()) AS present
), head AS MATERIALIZED (
    SELECT s.due_at
    FROM {prefix}schedules s
    WHERE s.namespace = %(namespace)s::text AND s.due_at IS NOT NULL
    ORDER BY s.due_at
    LIMIT 1
)
SELECT m.present,
       COALESCE((SELECT true FROM taken), (SELECT h.token = %(token)s::uuid FROM held h), false) AS leads,
       COALESCE((SELECT t.instance_id FROM taken t), (SELECT h.instance_id FROM held h)) AS leader,
       (SELECT EXTRACT(epoch FROM h.expires_at - clock_timestamp()) FROM held h)::double precision AS lease_left,
       COALESCE((SELECT h.due_at <= m.present FROM head h), false) AS due,
       (SELECT EXTRACT(epoch FROM h.due_at - m.present)
        FROM head h
        WHERE h.due_at > m.present AND h.due_at < m.present + %(poll_interval)s::interval)::double precision AS wait
FROM moment m

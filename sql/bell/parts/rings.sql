-- Ring for the names in `rung`, as far as somebody waits for them; NULL when there are none. How it rings: see queue/publish.
--
-- `bells` is what the names of the tables begin with; the channels and the doors are those of bell/_channel.py.
(
    SELECT bool_and(CASE
                        WHEN NOT %(ring)s::boolean AND pg_try_advisory_xact_lock_shared(
                            ('x' || substr(encode(sha256(convert_to(c.channel, 'UTF8')), 'hex'), 1, 16))::bit(64)::bigint
                        ) THEN true
                        ELSE pg_notify(c.channel, '') IS NOT NULL
                    END)
    FROM (
        SELECT 'promin_' || substr(
                   encode(sha256(convert_to(%(bells)s::text || r.name, 'UTF8')), 'hex'), 1, 24
               ) AS channel
        FROM (SELECT DISTINCT d.name FROM rung d) AS r
    ) AS c
)

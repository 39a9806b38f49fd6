-- The workers that are alive.
alive AS MATERIALIZED (
    SELECT w.id
    FROM {prefix}workers w
    WHERE w.expires_at > clock_timestamp()
)

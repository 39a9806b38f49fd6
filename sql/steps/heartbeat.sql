-- Live on; no row comes back from the dead. Rows of workers that have been dead for a day are taken away on the way.
WITH buried AS (
    DELETE FROM {prefix}workers w
    WHERE w.expires_at < clock_timestamp() - interval '1 day'
)
UPDATE {prefix}workers w
SET seen_at = clock_timestamp(), expires_at = clock_timestamp() + %(lease)s::interval
WHERE w.id = %(me)s::text AND w.expires_at > clock_timestamp()
RETURNING w.id

-- Count the messages of a queue by what they wait for. Reads the whole queue; completed ones are those in the archive.
SELECT count(*) FILTER (WHERE q.dead_at IS NULL AND (q.leased_until IS NULL OR q.leased_until <= now())) AS pending,
       count(*) FILTER (WHERE q.dead_at IS NULL AND q.leased_until > now()) AS processing,
       (SELECT count(*) FROM {archive}) AS completed,
       count(*) FILTER (WHERE q.dead_at IS NOT NULL) AS dead,
       now() - min(q.created_at) FILTER (WHERE q.dead_at IS NULL) AS oldest_age
FROM {queue} q

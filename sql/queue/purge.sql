-- Delete every message of a queue, whatever its state.
WITH archived AS (
    DELETE FROM {archive}
    RETURNING id
), purged AS (
    DELETE FROM {queue}
    RETURNING id
)
SELECT (SELECT count(*) FROM archived) + (SELECT count(*) FROM purged) AS purged

-- Append messages, in their order, and ring if a consumer waits.
--
-- The try at the door is an uncorrelated subquery, so it is made once per statement: shared and granted means that no
-- consumer waits, and that none can begin to before this transaction has ended. `ring` skips the try where the
-- transaction is the caller's and may stay open for long: nobody should find the door taken for that time.
WITH published AS (
    INSERT INTO {queue} (value, headers, due_at)
    SELECT m.value::json, %(headers)s::text::json,
           COALESCE(%(due_at)s::timestamptz, clock_timestamp() + %(delay)s::interval)
    FROM unnest(%(texts)b::text[]) WITH ORDINALITY AS m (value, position)
    ORDER BY m.position
    RETURNING id
)
SELECT p.id
FROM published p
WHERE (SELECT CASE
                  WHEN NOT %(notify)s::boolean THEN true
                  WHEN NOT %(ring)s::boolean AND pg_try_advisory_xact_lock_shared(%(door)s::bigint) THEN true
                  ELSE pg_notify(%(channel)s::text, '') IS NOT NULL
              END)
ORDER BY p.id

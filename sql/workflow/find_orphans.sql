-- Inline runs that nobody drives: of drivers that died, and such that wait and are due.
--
-- A lease without an end is alive as long as somebody holds its session lock. Of the runs that wait a page is looked at;
-- those that are not due come along, so that the caller knows where the next page begins.
WITH sessions AS MATERIALIZED (
    SELECT (k.classid::bigint << 32) | k.objid::bigint AS lock_key
    FROM pg_catalog.pg_locks k
    WHERE k.locktype = 'advisory' AND k.objsubid = 1
      AND k.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
), held AS MATERIALIZED (
    SELECT l.workflow, COALESCE(
               l.expires_at > clock_timestamp(), l.lock_key IN (SELECT s.lock_key FROM sessions s), false
           ) AS is_alive
    FROM {prefix}workflow_leases l
), page AS MATERIALIZED (
    SELECT w.id, w.run, w.workflow_id, w.workflow_name, w.version
    FROM {prefix}workflows w
    WHERE w.status = 3 /* SUSPENDED */ AND w.remaining IS NULL AND w.id > %(after)s::bigint
    ORDER BY w.id
    LIMIT %(page)s::bigint
)
SELECT o.id, o.workflow_id, o.is_page,
       o.is_due AND EXISTS (
           SELECT
           FROM unnest(%(names)b::text[], %(versions)b::text[]) AS n (workflow_name, version)
           WHERE n.workflow_name = o.workflow_name AND n.version IS NOT DISTINCT FROM o.version
       ) AS is_due
FROM (
    SELECT w.id, w.workflow_id, w.workflow_name, w.version, true AS is_due, false AS is_page
    FROM held h
    JOIN {prefix}workflows w ON w.id = h.workflow
    WHERE NOT h.is_alive AND w.remaining IS NULL
      AND w.status IN (1 /* PENDING */, 2 /* RUNNING */, 7 /* COMPENSATING */)
    UNION ALL
    SELECT p.id, p.workflow_id, p.workflow_name, p.version,
           NOT EXISTS (SELECT FROM held h WHERE h.workflow = p.id AND h.is_alive)
           AND EXISTS (
               SELECT
               FROM {prefix}workflow_steps s
               LEFT JOIN {prefix}workflow_signals g
                 ON g.workflow = s.workflow AND g.run = s.run AND g.signal_name = s.signal_name
               WHERE s.workflow = p.id AND s.run = p.run AND s.status = 3 /* WAITING */
                 AND (COALESCE(s.signal_timeout_at, s.wake_at) <= clock_timestamp() OR g.consumed < cardinality(g.payloads))
           ),
           true
    FROM page p
) AS o
ORDER BY o.id

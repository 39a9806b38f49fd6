-- The signals that were delivered to the current run, in the order of their delivery.
SELECT s.signal_name, p.payload::text AS payload, p.delivered_at
FROM {prefix}workflows w
JOIN {prefix}workflow_signals s ON s.workflow = w.id AND s.run = w.run
CROSS JOIN LATERAL unnest(s.payloads, s.delivered_at) AS p (payload, delivered_at)
WHERE w.workflow_id = %(workflow_id)s::text
ORDER BY p.delivered_at, s.signal_name

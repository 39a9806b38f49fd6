-- Delete a message whose lease is still held.
DELETE FROM {queue} q
WHERE q.id = %(id)s::bigint AND q.receipt = %(receipt)s::bigint AND q.due_at IS NULL AND q.dead_at IS NULL
  AND q.leased_until > clock_timestamp()
  AND (SELECT %(durable)s::boolean OR set_config('synchronous_commit', 'off', true) IS NOT NULL)
RETURNING q.id

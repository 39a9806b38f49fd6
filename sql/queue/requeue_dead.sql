-- Let dead messages, and those whose lease ran out, wait again as if they were new.
UPDATE {queue} q
SET dead_at = NULL, due_at = NULL, leased_until = NULL, receipt = NULL, deliveries = 0, error = NULL
WHERE q.dead_at IS NOT NULL OR q.leased_until <= now()

-- Give tasks to this claimer.
UPDATE {prefix}step_queue q
SET claimed_by = %(me)s::text, claimed_at = clock_timestamp(), deliveries = q.deliveries + 1, lease = q.lease + 1

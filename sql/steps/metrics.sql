-- Count the tasks of each queue by status. Reads the queue and the history whole.
SELECT c.queue, sum(c.pending)::bigint AS pending, sum(c.running)::bigint AS running,
       sum(c.completed)::bigint AS completed, sum(c.failed)::bigint AS failed, sum(c.dead)::bigint AS dead,
       max(c.oldest_pending_age) AS oldest_pending_age
FROM (
    SELECT q.queue, count(*) FILTER (WHERE q.claimed_by IS NULL) AS pending,
           count(*) FILTER (WHERE q.claimed_by IS NOT NULL) AS running, 0 AS completed, 0 AS failed, 0 AS dead,
           clock_timestamp() - min(q.created_at) FILTER (WHERE q.claimed_by IS NULL) AS oldest_pending_age
    FROM {prefix}step_queue q
    GROUP BY q.queue
    UNION ALL
    SELECT h.queue, 0, 0, count(*) FILTER (WHERE h.status = 4 /* COMPLETED */),
           count(*) FILTER (WHERE h.status = 5 /* FAILED */), count(*) FILTER (WHERE h.status = 9 /* DEAD */), NULL
    FROM {prefix}step_history h
    GROUP BY h.queue
    UNION ALL
    SELECT b.queue, 0, 0, sum(b.number), 0, 0, NULL
    FROM {prefix}step_batches b
    GROUP BY b.queue
) AS c
GROUP BY c.queue
ORDER BY c.queue

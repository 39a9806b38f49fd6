-- Count the messages of every queue. Reads all of them.
SELECT m.queue_name AS queue, m.queue_length AS length, {queue_visible_length}::bigint AS visible_length,
       make_interval(secs => m.newest_msg_age_sec) AS newest_age,
       make_interval(secs => m.oldest_msg_age_sec) AS oldest_age, m.total_messages,
       m.scrape_time AS scraped_at, {default_partition_length}::bigint AS default_partition_length
FROM pgmq.metrics_all() AS m
ORDER BY m.queue_name

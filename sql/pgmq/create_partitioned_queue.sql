-- Create a queue and an archive in partitions, which pg_partman maintains.
SELECT pgmq.create_partitioned(%(queue)s::text, %(partition_interval)s::text, %(retention_interval)s::text) AS done

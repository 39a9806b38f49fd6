-- Create the index on the headers of a queue, for reading by groups.
SELECT pgmq.create_fifo_index(%(queue)s::text) AS done

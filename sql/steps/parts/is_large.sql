-- Whether a task has a row of its own in the history: an array of large ones would have to be put together in memory.
COALESCE(pg_column_size(q.input), 0) + COALESCE(pg_column_size(q.prev_results), 0) + pg_column_size(q.workflow_id) > 4000

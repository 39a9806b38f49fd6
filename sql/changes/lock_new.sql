-- Lock a table and its partitions for new triggers, in the order in which those who write lock them.
LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE

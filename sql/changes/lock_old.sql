-- Lock a table and its partitions for triggers to be dropped, in the order in which those who write lock them.
LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE

-- Have the server read a condition as the trigger function will, so that a faulty one fails here and not in an INSERT.
SELECT FROM {table} AS new CROSS JOIN {table} AS old WHERE {condition} LIMIT 0

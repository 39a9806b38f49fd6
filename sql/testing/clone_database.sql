-- Clone a database that nobody is connected to, in the server's own way: through the WAL where it can (15 and newer),
-- which is the faster one where a checkpoint waits for a disk.
CREATE DATABASE {database} TEMPLATE {template}

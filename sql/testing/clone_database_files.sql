-- Clone a database that nobody is connected to by copying its files. PostgreSQL 15 and newer.
-- Takes two checkpoints: the fastest way, by far, on a server that never waits for a disk.
CREATE DATABASE {database} TEMPLATE {template} STRATEGY file_copy

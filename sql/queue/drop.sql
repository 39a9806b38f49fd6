-- Drop a queue with everything in it.
DROP TABLE IF EXISTS {queue}, {archive}

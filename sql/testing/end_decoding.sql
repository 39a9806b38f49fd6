-- End the sessions that decode changes of a database right now: as long as one does, the database is not dropped, not
-- even by force.
SELECT pg_terminate_backend(s.active_pid) AS ended
  FROM pg_replication_slots AS s
 WHERE s.database = %(database)s::text AND s.active

-- Whether a database is there.
SELECT d.datname
  FROM pg_database AS d
 WHERE d.datname = %(database)s::text

-- The databases whose names begin in a certain way.
SELECT d.datname
  FROM pg_database AS d
 WHERE starts_with(d.datname, %(beginning)s::text)
 ORDER BY d.datname

-- Have the trigger function look names up in a path of its own: for a condition, and for types that are not PostgreSQL's,
-- whose casts to json may be somebody's functions. The caller's path would let them run code with the rights of the log.
ALTER FUNCTION {function}() SET search_path TO pg_catalog, pg_temp

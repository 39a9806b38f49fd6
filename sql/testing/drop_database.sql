-- Drop a database, if it is there, and end the sessions in it.
DROP DATABASE IF EXISTS {database} WITH (FORCE)

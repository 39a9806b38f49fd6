-- Make an empty database.
CREATE DATABASE {database}

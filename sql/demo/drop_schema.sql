-- Drops the demo's schema and all that is in it.
-- Only ever sent for a schema that this demo created.
DROP SCHEMA {schema} CASCADE

-- Create the schema. `migrate` sends this only when there is none, because even IF NOT EXISTS demands the right to create.
CREATE SCHEMA IF NOT EXISTS {schema}

-- Create a lookup table. IF NOT EXISTS, because somebody else may have held lookups/lock before us.
CREATE TABLE IF NOT EXISTS {table} (
    id smallint PRIMARY KEY,
    name text NOT NULL UNIQUE
)

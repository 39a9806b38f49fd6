-- Create the version table. A row without applied_at is a migration that began outside of a transaction and did not end.
CREATE TABLE {migrations} (
    version integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz,
    duration interval
)

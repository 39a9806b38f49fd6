-- Add the rows of one lookup table that are missing. Those that are there stay as they are.
INSERT INTO {table} (id, name)
SELECT entry.id, entry.name
FROM unnest(%(ids)s::smallint[], %(names)s::text[]) AS entry (id, name)
ON CONFLICT DO NOTHING

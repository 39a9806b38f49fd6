-- The rows of one lookup table, for a UNION ALL over several: all of them are read in one round trip.
SELECT {lookup}::text AS lookup, id, name FROM {table}

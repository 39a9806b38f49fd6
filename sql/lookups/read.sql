-- The rows of several lookup tables; {rows} is lookups/rows once for each of them.
SELECT lookup, id, name
FROM ({rows}) AS entry
ORDER BY lookup, id

-- The rows of a table as the triggers would record them, to be fetched in batches.
DECLARE promin_rows NO SCROLL CURSOR FOR
SELECT new.promin_image::text AS new
FROM (SELECT {image} AS promin_image, {row} FROM {table} AS promin_row) AS new
LEFT JOIN {table} AS old ON false
WHERE {condition}

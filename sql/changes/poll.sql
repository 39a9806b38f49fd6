-- Rows of a table without our triggers, by time and sequence, after a place among them.
SELECT {image}::text AS new, promin_row.{timestamp}::timestamptz AS moment, promin_row.{sequence}::bigint AS sequence
FROM {table} AS promin_row
WHERE promin_row.{timestamp} >= %(moment)s::timestamptz
  AND (promin_row.{timestamp}, promin_row.{sequence}) > (%(moment)s::timestamptz, %(sequence)s::bigint)
ORDER BY promin_row.{timestamp}, promin_row.{sequence}
LIMIT %(limit)s::integer

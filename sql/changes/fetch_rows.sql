-- The next rows of the table.
FETCH FORWARD {count} FROM promin_rows

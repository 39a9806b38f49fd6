-- Have the log told of every UPDATE on a table or partition: once per statement, with all its rows.
CREATE TRIGGER {trigger} AFTER UPDATE ON {relation}
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION {function}()

-- Have the log told of every DELETE on a table or partition: once per statement, with all its rows.
CREATE TRIGGER {trigger} AFTER DELETE ON {relation}
REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT EXECUTE FUNCTION {function}()

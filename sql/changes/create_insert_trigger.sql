-- Have the log told of every INSERT on a table or partition: once per statement, with all its rows.
CREATE TRIGGER {trigger} AFTER INSERT ON {relation}
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION {function}()

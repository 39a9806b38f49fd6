-- Have the log told of every TRUNCATE of a table or partition.
CREATE TRIGGER {trigger} AFTER TRUNCATE ON {relation}
FOR EACH STATEMENT EXECUTE FUNCTION {function}()

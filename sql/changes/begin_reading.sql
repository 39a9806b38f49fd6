-- Begin a transaction that sees the table as it is at its first statement, however long it reads.
START TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY

-- End the transaction that read the table.
ROLLBACK

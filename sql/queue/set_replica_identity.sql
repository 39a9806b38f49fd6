-- Let a publication of all tables take the queue in, although it has no primary key.
ALTER TABLE {queue} REPLICA IDENTITY FULL

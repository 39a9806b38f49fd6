-- What a claim walks: messages that wait for nothing but a consumer, in the order of their publication.
CREATE UNIQUE INDEX IF NOT EXISTS {ready_index} ON {queue} (id) WHERE due_at IS NULL AND dead_at IS NULL

-- Delayed messages by the moment when their delay is over.
CREATE INDEX IF NOT EXISTS {due_index} ON {queue} (due_at) WHERE due_at IS NOT NULL

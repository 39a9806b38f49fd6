-- Dead messages.
CREATE INDEX IF NOT EXISTS {dead_index} ON {queue} (id) WHERE dead_at IS NOT NULL

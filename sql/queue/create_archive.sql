-- Messages that were acknowledged under ack_mode="archive": kept, and out of the way of consumers.
CREATE TABLE IF NOT EXISTS {archive} (
    id bigint PRIMARY KEY,
    value json NOT NULL,
    headers json,
    created_at timestamptz NOT NULL,
    deliveries integer NOT NULL,
    completed_at timestamptz NOT NULL DEFAULT clock_timestamp()
)

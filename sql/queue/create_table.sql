-- The messages of a queue.
--
-- A message waits for its delay (due_at), then for a consumer; it is processed while leased_until lies ahead; it is dead once
-- dead_at is set. A claim changes leased_until, receipt and deliveries: none of them stands in an index, and half of each
-- page is left free, so that these updates stay on their page and touch no index (HOT). That also rules out an index on
-- leased_until; expired leases are found at the front of the queue, where the oldest messages are.
-- receipt is drawn anew at each claim: whoever settles a message must show it.
-- There is no primary key: each message stands in exactly one of three partial indexes (ready, due, dead), and a second
-- index on id made publishing half as fast. Logical replication finds rows by their full contents instead.
CREATE TABLE IF NOT EXISTS {queue} (
    id bigint GENERATED ALWAYS AS IDENTITY,
    value json NOT NULL,
    headers json,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    due_at timestamptz,
    leased_until timestamptz,
    receipt bigint,
    deliveries integer NOT NULL DEFAULT 0,
    dead_at timestamptz,
    error text
) WITH (fillfactor = 50)

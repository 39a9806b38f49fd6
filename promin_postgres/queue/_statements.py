"""The statements of the message queue.

Those that pick rows are planned at each execution: a queue is empty now and holds a million messages a moment later,
and a prepared plan that suited the empty one would scan the full one. Those that consumers send all the time age.
"""

from __future__ import annotations

from promin_postgres._statement import Statement

ACK = Statement("queue/ack", ages=True)
ACK_ONE = Statement("queue/ack_one", ages=True)
ACK_ONE_TO_ARCHIVE = Statement("queue/ack_one_to_archive", ages=True)
ACK_TO_ARCHIVE = Statement("queue/ack_to_archive", ages=True)
CLAIM = Statement("queue/claim", ages=True)
CREATE_ARCHIVE = Statement("queue/create_archive")
CREATE_DEAD_INDEX = Statement("queue/create_dead_index")
CREATE_DUE_INDEX = Statement("queue/create_due_index")
CREATE_READY_INDEX = Statement("queue/create_ready_index")
CREATE_TABLE = Statement("queue/create_table")
DROP = Statement("queue/drop", idempotent=True)
EXISTS = Statement("queue/exists", idempotent=True)
EXTEND = Statement("queue/extend", idempotent=True, prepare=False)
LOCK_CREATION = Statement("queue/lock_creation")
METRICS = Statement("queue/metrics", idempotent=True)
NACK = Statement("queue/nack", prepare=False)
PEEK_DEAD = Statement("queue/peek_dead", idempotent=True)
PROMOTE = Statement("queue/promote", idempotent=True, prepare=False)
PUBLISH = Statement("queue/publish")
PURGE = Statement("queue/purge")
RELEASE = Statement("queue/release", prepare=False)
REQUEUE_DEAD = Statement("queue/requeue_dead", idempotent=True)
SET_REPLICA_IDENTITY = Statement("queue/set_replica_identity")
TAKE_DEAD = Statement("queue/take_dead")

CREATE = (
    CREATE_TABLE,
    CREATE_READY_INDEX,
    CREATE_DUE_INDEX,
    CREATE_DEAD_INDEX,
    CREATE_ARCHIVE,
    SET_REPLICA_IDENTITY,
)
"""What makes a queue, in this order."""

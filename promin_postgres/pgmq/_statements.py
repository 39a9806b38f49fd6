"""The statements of pgmq: each calls one of its functions."""

from __future__ import annotations

from promin_postgres._statement import Statement

ARCHIVE = Statement("pgmq/archive")
ARCHIVE_BATCH = Statement("pgmq/archive_batch")
BIND_TOPIC = Statement("pgmq/bind_topic", idempotent=True)
CREATE_FIFO_INDEX = Statement("pgmq/create_fifo_index", idempotent=True)
CREATE_PARTITIONED_QUEUE = Statement("pgmq/create_partitioned_queue")
CREATE_QUEUE = Statement("pgmq/create_queue", idempotent=True)
CREATE_UNLOGGED_QUEUE = Statement("pgmq/create_unlogged_queue", idempotent=True)
DELETE_BATCH = Statement("pgmq/delete_batch")
DELETE_MESSAGE = Statement("pgmq/delete_message")
DETACH_ARCHIVE = Statement("pgmq/detach_archive")
DISABLE_NOTIFY = Statement("pgmq/disable_notify")
DROP_QUEUE = Statement("pgmq/drop_queue")
DROP_QUEUE_PLAIN = Statement("pgmq/drop_queue_plain")
ENABLE_NOTIFY = Statement("pgmq/enable_notify", idempotent=True)
ENABLE_NOTIFY_PLAIN = Statement("pgmq/enable_notify_plain", idempotent=True)
LIST_QUEUES = Statement("pgmq/list_queues", idempotent=True)
LIST_TOPIC_BINDINGS = Statement("pgmq/list_topic_bindings", idempotent=True)
MEND_NOTIFY = Statement("pgmq/mend_notify", idempotent=True)
LOCK_CREATION = Statement("pgmq/lock_creation", idempotent=True)
METRICS = Statement("pgmq/metrics", idempotent=True)
METRICS_ALL = Statement("pgmq/metrics_all", idempotent=True)
POP = Statement("pgmq/pop")
POP_ONE = Statement("pgmq/pop_one")
PROBE = Statement("pgmq/probe", idempotent=True)
PURGE_QUEUE = Statement("pgmq/purge_queue")
READ = Statement("pgmq/read")
READ_GROUPED = Statement("pgmq/read_grouped")
READ_GROUPED_HEAD = Statement("pgmq/read_grouped_head")
READ_GROUPED_RR = Statement("pgmq/read_grouped_rr")
READ_GROUPED_RR_WITH_POLL = Statement("pgmq/read_grouped_rr_with_poll")
READ_GROUPED_WITH_POLL = Statement("pgmq/read_grouped_with_poll")
READ_WITH_POLL = Statement("pgmq/read_with_poll")
SEND = Statement("pgmq/send")
SEND_BATCH = Statement("pgmq/send_batch")
SEND_BATCH_PLAIN = Statement("pgmq/send_batch_plain")
SEND_BATCH_TOPIC = Statement("pgmq/send_batch_topic")
SEND_PLAIN = Statement("pgmq/send_plain")
SEND_TOPIC = Statement("pgmq/send_topic")
SET_VT = Statement("pgmq/set_vt", idempotent=True)
SET_VT_EACH = Statement("pgmq/set_vt_each", idempotent=True)
TEST_ROUTING = Statement("pgmq/test_routing", idempotent=True)
UNBIND_TOPIC = Statement("pgmq/unbind_topic")

READS = {
    "read": READ,
    "read_with_poll": READ_WITH_POLL,
    "read_grouped": READ_GROUPED,
    "read_grouped_with_poll": READ_GROUPED_WITH_POLL,
    "read_grouped_rr": READ_GROUPED_RR,
    "read_grouped_rr_with_poll": READ_GROUPED_RR_WITH_POLL,
    "read_grouped_head": READ_GROUPED_HEAD,
}

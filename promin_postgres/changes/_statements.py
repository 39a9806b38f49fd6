"""The statements of change streams.

Those that pick records are planned at each execution: a log is empty now and holds a million records a moment later,
and a prepared plan that suited the empty one would scan the full one.
"""

from __future__ import annotations

from promin_postgres._statement import Statement

ACK = Statement("changes/ack", idempotent=True)
BEGIN_READING = Statement("changes/begin_reading")
CHECK_CONDITION = Statement("changes/check_condition")
CONSUMERS = Statement("changes/consumers", idempotent=True)
CREATE_DELETE_TRIGGER = Statement("changes/create_delete_trigger")
CREATE_FUNCTION = Statement("changes/create_function")
CREATE_INSERT_TRIGGER = Statement("changes/create_insert_trigger")
CREATE_TRUNCATE_TRIGGER = Statement("changes/create_truncate_trigger")
CREATE_UPDATE_TRIGGER = Statement("changes/create_update_trigger")
DECLARE = Statement("changes/declare", prepare=False)
DROP_FUNCTION = Statement("changes/drop_function", idempotent=True)
END_READING = Statement("changes/end_reading")
FETCH = Statement("changes/fetch", idempotent=True, prepare=False)
FETCH_ROWS = Statement("changes/fetch_rows", prepare=False)
FIX_PATH = Statement("changes/fix_path")
FIND_START = Statement("changes/find_start", idempotent=True, prepare=False)
INSTALLED = Statement("changes/installed", idempotent=True)
INSPECT = Statement("changes/inspect", idempotent=True)
LAG = Statement("changes/lag", idempotent=True, prepare=False)
LOCK_INSTALLATION = Statement("changes/lock_installation")
LOCK_NEW = Statement("changes/lock_new")
LOCK_OLD = Statement("changes/lock_old")
NOTIFY = Statement("changes/notify")
OPEN = Statement("changes/open", idempotent=True)
POLL = Statement("changes/poll", idempotent=True, prepare=False)
PRUNE = Statement("changes/prune", prepare=False)
REGISTER = Statement("changes/register", idempotent=True)
RELEASE_CONSUMER = Statement("changes/release_consumer", idempotent=True)
RENEW_CONSUMER = Statement("changes/renew_consumer", idempotent=True)
SET_SEARCH_PATH = Statement("changes/set_search_path")
SNAPSHOT = Statement("changes/snapshot", idempotent=True)
TAKE_CONSUMER = Statement("changes/take_consumer", idempotent=True)
UNREGISTER = Statement("changes/unregister", idempotent=True)

TRIGGERS = {
    "insert": CREATE_INSERT_TRIGGER,
    "update": CREATE_UPDATE_TRIGGER,
    "delete": CREATE_DELETE_TRIGGER,
    "truncate": CREATE_TRUNCATE_TRIGGER,
}

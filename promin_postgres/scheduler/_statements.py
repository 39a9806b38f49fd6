"""The statements of the scheduler.

Those that pick rows are planned at each execution: a table is empty now and holds a million ticks a moment later, and
a prepared plan that suited the empty one would scan the full one.
"""

from __future__ import annotations

from promin_postgres._statement import Statement

BACKFILLED = Statement("scheduler/backfilled", prepare=False)
BIND = Statement("scheduler/bind", idempotent=True)
CANCEL_OPEN = Statement("scheduler/cancel_open", prepare=False)
CLAIM = Statement("scheduler/claim", prepare=False)
CLAIM_OF = Statement("scheduler/claim_of", prepare=False)
COUNT_OPEN = Statement("scheduler/count_open", prepare=False)
DROP_TICKS = Statement("scheduler/drop_ticks", prepare=False)
EXTEND = Statement("scheduler/extend", idempotent=True, prepare=False)
FIND_CANCELLED = Statement("scheduler/find_cancelled", idempotent=True, prepare=False)
FIND_DUE = Statement("scheduler/find_due", prepare=False)
FIND_UNSTARTED = Statement("scheduler/find_unstarted", prepare=False)
FIRE = Statement("scheduler/fire", prepare=False)
HISTORY = Statement("scheduler/history", idempotent=True, prepare=False)
HAND_OVER = Statement("scheduler/hand_over", idempotent=True, prepare=False)
LOAD = Statement("scheduler/load", idempotent=True, prepare=False)
LOCK = Statement("scheduler/lock", prepare=False)
LOCK_DUE = Statement("scheduler/lock_due", prepare=False)
LOCK_REGISTRATION = Statement("scheduler/lock_registration")
MARK_STARTED = Statement("scheduler/mark_started", idempotent=True)
NACK = Statement("scheduler/nack", prepare=False)
PAUSE = Statement("scheduler/pause", idempotent=True)
POLL = Statement("scheduler/poll", prepare=False)
PRESENT = Statement("scheduler/present", idempotent=True)
PROMOTE = Statement("scheduler/promote", prepare=False)
PURGE = Statement("scheduler/purge", idempotent=True, prepare=False)
QUARANTINE = Statement("scheduler/quarantine", idempotent=True)
REGISTER = Statement("scheduler/register")
RELEASE = Statement("scheduler/release", prepare=False)
RELEASE_LEASE = Statement("scheduler/release_lease", idempotent=True)
RESUME = Statement("scheduler/resume")
SETTLE = Statement("scheduler/settle", prepare=False)
SETTLE_ENDED = Statement("scheduler/settle_ended", prepare=False)
UNREGISTER = Statement("scheduler/unregister")

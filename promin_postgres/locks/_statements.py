"""The statements of the locks."""

from __future__ import annotations

from promin_postgres._statement import Statement

KEEPALIVE = Statement("locks/keepalive")
TRY_LOCK = Statement("locks/try_lock")
UNLOCK = Statement("locks/unlock")
UNLOCK_ALL = Statement("locks/unlock_all")

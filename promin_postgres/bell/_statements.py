"""The statements of the bell."""

from __future__ import annotations

from promin_postgres._statement import Statement

ASK = Statement("bell/ask")
LEAVE_DOOR = Statement("bell/leave_door")
LISTEN = Statement("bell/listen")
TAKE_DOOR = Statement("bell/take_door")

"""What a queue gives back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

import attrs

AckMode = Literal["delete", "archive"]
"""What becomes of acknowledged messages: deleted, or kept as completed in a table of their own."""


@attrs.frozen(kw_only=True)
class QueueMetrics:
    """How many messages a queue holds, by what they wait for.

    `pending` wait for a consumer or for their delay, `processing` are leased, `completed` are in the archive, `dead`
    ran out of attempts or do not decode. `oldest_age` is that of the oldest pending or processing one, if there is one.
    """

    pending: int
    processing: int
    completed: int
    dead: int
    total: int
    oldest_age: timedelta | None


@attrs.frozen(kw_only=True)
class DeadMessage:
    """A message that is not delivered any more. `text` is its stored value, which may not decode."""

    message_id: int
    text: str
    headers: dict[str, Any] | None
    created_at: datetime
    deliveries: int
    dead_at: datetime
    error: str | None


class Fetched(NamedTuple):
    """A row of sql/queue/claim.sql: a leased message, not yet decoded."""

    message_id: int
    receipt: int
    text: str
    headers: str | None
    created_at: bytes
    deliveries: int
    dead: bool

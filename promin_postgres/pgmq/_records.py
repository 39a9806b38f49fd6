"""What pgmq gives back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

import attrs

AckMode = Literal["delete", "archive"]
"""What becomes of acknowledged messages: deleted, or moved to the archive of the queue."""


@attrs.frozen(kw_only=True)
class PgmqMessage:
    """A message as pgmq has it, its JSON decoded. What an older pgmq does not have is None."""

    msg_id: int
    read_ct: int
    enqueued_at: datetime
    last_read_at: datetime | None
    vt: datetime
    message: Any
    headers: dict[str, Any] | None


@attrs.frozen(kw_only=True)
class QueueInfo:
    """A queue of this database."""

    name: str
    is_partitioned: bool
    is_unlogged: bool
    created_at: datetime


@attrs.frozen(kw_only=True)
class PgmqMetrics:
    """How many messages a queue holds, those that are leased or delayed included.

    `visible_length` (pgmq 1.5) leaves those out. `total_messages` is how many there ever were. The ages are in whole
    seconds, None when the queue is empty. `default_partition_length` is None unless the queue is partitioned.
    """

    queue: str
    length: int
    visible_length: int | None
    newest_age: timedelta | None
    oldest_age: timedelta | None
    total_messages: int
    scraped_at: datetime
    default_partition_length: int | None


@attrs.frozen(kw_only=True)
class TopicBinding:
    """A route: messages whose key matches `pattern` go to `queue`."""

    pattern: str
    queue: str
    bound_at: datetime


@attrs.frozen(kw_only=True)
class TopicMatch:
    """A route that a key would take."""

    pattern: str
    queue: str


@attrs.frozen(kw_only=True)
class TopicMessage:
    """A message that was appended to a queue by its key."""

    queue: str
    msg_id: int


@attrs.frozen(kw_only=True)
class Fetched:
    """A leased message before it is decoded. `held_until` is of this process's monotonic clock."""

    message_id: int
    text: str | None
    headers: str | None
    created_at: datetime
    deliveries: int
    held_until: float

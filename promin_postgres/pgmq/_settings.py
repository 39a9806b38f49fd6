"""The arguments of pgmq, checked and turned into what its functions take. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar, get_args

import attrs
from psycopg import sql

from promin_postgres._time import Seconds, check_moment, check_seconds
from promin_postgres.codec import JSON, Codec
from promin_postgres.errors import InvalidArgument
from promin_postgres.pgmq._records import AckMode

T = TypeVar("T")

GROUP_HEADER = "x-pgmq-group"
_NAME = re.compile(r"(?!.*--)[a-z0-9_][a-z0-9_-]{0,46}")
_ROUTING_KEY = re.compile(r"[a-zA-Z0-9_-]+(\.[a-zA-Z0-9_-]+)*")
_PATTERN = re.compile(r"(?!.*[*#]{2})[a-zA-Z0-9_*#-]+(\.[a-zA-Z0-9_*#-]+)*")
_LONGEST_KEY = 255
_MAX_BATCH = 100_000
_MAX_INTEGER = 2**31 - 1


def check_queue_name(argument: str, name: str) -> str:
    """pgmq takes more, but makes tables of the lower-case name: two queues would be one, and not ring."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        problem = "must be 1 to 47 of a-z, 0-9, _ and -, not begin with - and not hold --"
        raise InvalidArgument(argument, name, problem)
    return name


def queue_table(name: str) -> str:
    """The table of a queue as to_regclass() reads it."""
    return sql.Identifier("pgmq", f"q_{name}").as_string(None)


def channel_of(name: str) -> str:
    """The channel that a queue rings on."""
    return f"pgmq.q_{name}.INSERT"


def check_routing_key(key: str) -> str:
    if not isinstance(key, str) or len(key) > _LONGEST_KEY or not _ROUTING_KEY.fullmatch(key):
        raise InvalidArgument("routing_key", key, "must be words of a-z, A-Z, 0-9, _ and -, joined by single dots")
    return key


def check_pattern(pattern: str) -> str:
    if not isinstance(pattern, str) or len(pattern) > _LONGEST_KEY or not _PATTERN.fullmatch(pattern):
        problem = "must be words of a-z, A-Z, 0-9, _, -, * and #, joined by single dots, no two wildcards side by side"
        raise InvalidArgument("pattern", pattern, problem)
    return pattern


def check_qty(value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MAX_BATCH:
        raise InvalidArgument("qty", value, f"must be a whole number from 1 to {_MAX_BATCH}")
    return value


def check_ids(argument: str, ids: Iterable[int]) -> list[int]:
    found = list(ids)
    for value in found:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**63:
            raise InvalidArgument(argument, value, "must be ids of messages")
    return found


def check_ack_mode(mode: AckMode) -> AckMode:
    if mode not in get_args(AckMode):
        raise InvalidArgument("ack_mode", mode, f"must be one of {', '.join(get_args(AckMode))}")
    return mode


def whole_seconds(argument: str, value: Seconds, *, positive: bool = False) -> int:
    """A duration in the whole seconds that pgmq counts in, rounded up."""
    seconds = math.ceil(check_seconds(argument, value, positive=positive))
    if seconds > _MAX_INTEGER:
        raise InvalidArgument(argument, value, f"must be at most {_MAX_INTEGER} seconds")
    return seconds


def milliseconds(argument: str, value: Seconds, *, positive: bool = False) -> int:
    thousandths = math.ceil(1000 * check_seconds(argument, value, positive=positive))
    if thousandths > _MAX_INTEGER:
        raise InvalidArgument(argument, value, f"must be at most {_MAX_INTEGER} milliseconds")
    return thousandths


def delay_of(argument: str, delay: Seconds | datetime) -> dict[str, Any]:
    """The parameters of a delay: a moment, or a pause from now on."""
    if isinstance(delay, datetime):
        return {"due_at": check_moment(argument, delay), "delay": None}
    return {"due_at": None, "delay": timedelta(seconds=check_seconds(argument, delay))}


def fifo_message(value: T, *, group: str) -> FifoMessage[T]:
    """A message of a group, to be given to `publish` or `publish_batch` in place of its value.

    The grouped read modes keep the order within a group. Messages without one are a group of their own.
    """
    return FifoMessage(value=value, group=group)


@attrs.frozen(kw_only=True)
class FifoMessage(Generic[T]):
    """A value and the group that it belongs to."""

    value: T
    group: str = attrs.field(validator=lambda _self, _field, value: _check_group(value))


def _check_group(value: object) -> None:
    if not isinstance(value, str) or not value:
        raise InvalidArgument("group", value, "must be a non-empty string")


def _check_partitions(partitions: Partitions, field: attrs.Attribute[Any], value: object) -> None:
    if isinstance(value, str):
        if not value.strip() or value.strip().lstrip("+-").isdigit():
            raise InvalidArgument(field.name, value, 'must be a time such as "1 day", or an int')
    elif isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _MAX_INTEGER:
        raise InvalidArgument(field.name, value, f"must be a number of messages, 1 to {_MAX_INTEGER}, or a time")
    if type(value) is not type(partitions.interval):
        # pg_partman reads a bare number beside "1 day" as seconds, and drops what lies so far back.
        raise InvalidArgument(field.name, value, "must be of the kind that `interval` is: messages, or a time")


@attrs.frozen(kw_only=True)
class Partitions:
    """How a partitioned queue is cut: by so many messages (ints), or by time (PostgreSQL's texts: "1 day").

    The maintenance of pg_partman, which somebody has to run, makes new partitions and drops those that lie `retention`
    back, with what is in them.
    """

    interval: int | str = attrs.field(default=10_000, validator=_check_partitions)
    retention: int | str = attrs.field(default=100_000, validator=_check_partitions)


@attrs.frozen(kw_only=True)
class ReadMode:
    """How messages are read. Made by its class methods; `vt` and `qty` are by default those of the queue.

    The modes with "poll" wait on the server, which looks again every `poll_interval` for up to `max_poll_seconds` and
    occupies a connection for that time; without a bell they are the quickest to see a message. The grouped ones hand
    out no message while an earlier one of its group is leased to somebody else.
    """

    function: str
    vt: int | None
    qty: int | None
    max_poll_seconds: int | None = None
    poll_interval_ms: int | None = None

    @classmethod
    def standard(cls, *, vt: Seconds | None = None, qty: int | None = None) -> ReadMode:
        """The oldest messages."""
        return cls._made("read", vt, qty)

    @classmethod
    def poll(
        cls,
        *,
        vt: Seconds | None = None,
        qty: int | None = None,
        max_poll_seconds: Seconds = 5,
        poll_interval: Seconds = 0.1,
    ) -> ReadMode:
        """As `standard`, waiting on the server."""
        return cls._made("read_with_poll", vt, qty, max_poll_seconds, poll_interval)

    @classmethod
    def grouped(cls, *, vt: Seconds | None = None, qty: int | None = None) -> ReadMode:
        """As many messages as possible of the group that waits for longest, then of the next (pgmq 1.9)."""
        return cls._made("read_grouped", vt, qty)

    @classmethod
    def grouped_poll(
        cls,
        *,
        vt: Seconds | None = None,
        qty: int | None = None,
        max_poll_seconds: Seconds = 5,
        poll_interval: Seconds = 0.1,
    ) -> ReadMode:
        """As `grouped`, waiting on the server."""
        return cls._made("read_grouped_with_poll", vt, qty, max_poll_seconds, poll_interval)

    @classmethod
    def grouped_round_robin(cls, *, vt: Seconds | None = None, qty: int | None = None) -> ReadMode:
        """One message of each group in turn (pgmq 1.9)."""
        return cls._made("read_grouped_rr", vt, qty)

    @classmethod
    def grouped_round_robin_poll(
        cls,
        *,
        vt: Seconds | None = None,
        qty: int | None = None,
        max_poll_seconds: Seconds = 5,
        poll_interval: Seconds = 0.1,
    ) -> ReadMode:
        """As `grouped_round_robin`, waiting on the server."""
        return cls._made("read_grouped_rr_with_poll", vt, qty, max_poll_seconds, poll_interval)

    @classmethod
    def grouped_head(cls, *, vt: Seconds | None = None, qty: int | None = None) -> ReadMode:
        """The oldest message of each group, so that groups are worked on side by side (pgmq 1.11.1)."""
        return cls._made("read_grouped_head", vt, qty)

    @classmethod
    def _made(
        cls,
        function: str,
        vt: Seconds | None,
        qty: int | None,
        max_poll_seconds: Seconds | None = None,
        poll_interval: Seconds | None = None,
    ) -> ReadMode:
        return cls(
            function=function,
            vt=None if vt is None else whole_seconds("vt", vt, positive=True),
            qty=None if qty is None else check_qty(qty),
            max_poll_seconds=None
            if max_poll_seconds is None
            else whole_seconds("max_poll_seconds", max_poll_seconds, positive=True),
            poll_interval_ms=None
            if poll_interval is None
            else milliseconds("poll_interval", poll_interval, positive=True),
        )

    def completed(self, vt: Seconds, qty: int) -> ReadMode:
        """The same, with these where it has none."""
        return attrs.evolve(
            self,
            vt=whole_seconds("vt", vt, positive=True) if self.vt is None else self.vt,
            qty=check_qty(qty) if self.qty is None else self.qty,
        )

    @property
    def waits(self) -> bool:
        """Whether the server waits for a message."""
        return self.max_poll_seconds is not None

    @property
    def params(self) -> dict[str, int | None]:
        found = {"vt": self.vt, "qty": self.qty}
        if self.waits:
            found |= {"max_poll_seconds": self.max_poll_seconds, "poll_interval_ms": self.poll_interval_ms}
        return found


Headers = Mapping[str, Any] | None
"""What travels beside a message: a JSON object, or nothing."""


def encode_batch(
    values: Sequence[Any], headers: Headers | Sequence[Headers], codec: Codec[Any], subject: str
) -> dict[str, Any]:
    """Messages and their headers as two lists of texts; None for the second when none has headers.

    Headers are one mapping for all, or a sequence with those of each.
    """
    if headers is None or isinstance(headers, Mapping):
        each: Sequence[Headers] = [headers] * len(values)
    elif isinstance(headers, Sequence) and not isinstance(headers, str | bytes):
        each = headers
    else:
        raise InvalidArgument("headers", headers, "must be a mapping, or a sequence of mappings")
    if len(each) != len(values):
        raise InvalidArgument("headers", headers, f"are {len(each)} for {len(values)} messages")
    texts: list[str] = []
    header_texts: list[str | None] = []
    for value, own in zip(values, each, strict=True):
        if own is not None and not isinstance(own, Mapping):
            raise InvalidArgument("headers", own, "must be a mapping")
        if isinstance(value, FifoMessage):
            value, own = value.value, {**(own or {}), GROUP_HEADER: value.group}
        texts.append(codec.encode(value, subject=subject))
        header_texts.append(None if own is None else JSON.encode(dict(own), subject="headers"))
    return {"messages": texts, "headers": header_texts if any(header_texts) else None}

# Generated from _async_protocols.py by tools/twins.py. Do not edit: edit that and generate again.
"""What can be subscribed to, published to, acknowledged and replayed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol, TypeVar, runtime_checkable

from promin_postgres._time import Seconds
from promin_postgres.streams._sync import Stream

T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)


@runtime_checkable
class Envelope(Protocol[T_co]):
    """A value under a lease: unless it is acknowledged in time, it comes again.

    Attributes:
        value: What was published.
        message_id: Which message it is.
        deliveries: How often it was handed out, this time included.
        created_at: When it was published, by the server's clock.
        headers: What was published beside the value.

    `ack` says that it is done; `nack` that it failed and is to come again after `delay`, in seconds or as a timedelta;
    `extend` keeps it for `seconds` (or a timedelta) from now on. All of them raise LeaseLost when they come too late.
    """

    @property
    def value(self) -> T_co: ...

    @property
    def message_id(self) -> int: ...

    @property
    def deliveries(self) -> int: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def headers(self) -> Mapping[str, Any] | None: ...

    def ack(self) -> None: ...

    def nack(self, delay: Seconds = 0, error: str | None = None) -> None: ...

    def extend(self, seconds: Seconds) -> None: ...


@runtime_checkable
class Streamable(Protocol[T_co]):
    """Hands out values."""

    def subscribe(self) -> Stream[T_co]: ...


@runtime_checkable
class Sinkable(Protocol[T_contra]):
    """Takes values."""

    def publish(self, value: T_contra, /) -> object: ...


@runtime_checkable
class Acknowledgeable(Protocol[T_co]):
    """Hands out values that come again unless they are acknowledged."""

    def subscribe_ack(self) -> Stream[Envelope[T_co]]: ...


@runtime_checkable
class Replayable(Protocol[T_co]):
    """Hands out values again, from a place in the past on."""

    def subscribe_from(self, offset: Any, /) -> Stream[T_co]: ...

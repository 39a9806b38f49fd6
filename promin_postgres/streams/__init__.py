"""Streams: plain iterators that are context managers, and the protocols of what makes and takes them."""

from promin_postgres.streams._async import AsyncStream
from promin_postgres.streams._async_protocols import (
    AsyncAcknowledgeable,
    AsyncEnvelope,
    AsyncReplayable,
    AsyncSinkable,
    AsyncStreamable,
)
from promin_postgres.streams._concurrency import AsyncSource, Source
from promin_postgres.streams._sync import Stream
from promin_postgres.streams._sync_protocols import Acknowledgeable, Envelope, Replayable, Sinkable, Streamable

__all__ = [
    "Acknowledgeable",
    "AsyncAcknowledgeable",
    "AsyncEnvelope",
    "AsyncReplayable",
    "AsyncSinkable",
    "AsyncSource",
    "AsyncStream",
    "AsyncStreamable",
    "Envelope",
    "Replayable",
    "Sinkable",
    "Source",
    "Stream",
    "Streamable",
]

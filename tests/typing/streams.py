"""The types that streams promise. Checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar, assert_type

from promin_postgres._time import Seconds
from promin_postgres.streams import (
    Acknowledgeable,
    AsyncSinkable,
    AsyncStream,
    AsyncStreamable,
    Envelope,
    Replayable,
    Sinkable,
    Stream,
    Streamable,
)

T = TypeVar("T")


def length(text: str) -> int:
    return len(text)


async def slow_length(text: str) -> int:
    return len(text)


async def maybe(text: str) -> str | None:
    return text or None


def add(total: int, text: str) -> int:
    return total + len(text)


def is_long(text: str) -> bool:
    return len(text) > 9


def operators(texts: Stream[str]) -> None:
    assert_type(texts.map(length), Stream[int])
    assert_type(texts.map(lambda text: text.encode()), Stream[bytes])
    assert_type(texts.filter(is_long).tap(print).take(1).drop(1).take_while(is_long), Stream[str])
    assert_type(texts.flat_map(list), Stream[str])
    assert_type(texts.flat_map(lambda text: Stream([len(text)])), Stream[int])
    assert_type(texts.batched(3, max_wait=1), Stream[list[str]])
    assert_type(texts.group_within(1), Stream[list[str]])
    assert_type(texts.merge(Stream([1.5]), [2.5]), Stream[str | float])
    assert_type(texts.dedupe().distinct_by(length).throttle(1).timeout(1), Stream[str])
    assert_type(texts.par_map(length, concurrency=3, ordered=False), Stream[int])
    assert_type(texts.through(lambda stream: stream.batched(2)), Stream[list[str]])
    assert_type(texts.collect(), list[str])
    assert_type(texts.first(), str | None)
    assert_type(texts.first(0), str | int)
    assert_type(texts.reduce(add, 0), int)
    assert_type(texts.drain(), int)
    texts.for_each(print)
    with texts as same:
        for text in same:
            assert_type(text, str)
    wider(texts)


def wider(stream: Stream[str | int]) -> None:
    assert_type(stream.collect(), list[str | int])


async def async_operators(texts: AsyncStream[str]) -> None:
    assert_type(texts.map(length), AsyncStream[int])
    assert_type(texts.map(slow_length), AsyncStream[int])
    assert_type(texts.map(maybe), AsyncStream[str | None])
    assert_type(texts.filter(is_long).filter(slow_length), AsyncStream[str])
    assert_type(texts.flat_map(lambda text: AsyncStream([len(text)])), AsyncStream[int])
    assert_type(texts.batched(3), AsyncStream[list[str]])
    assert_type(texts.merge(AsyncStream([1])), AsyncStream[str | int])
    assert_type(texts.par_map(slow_length, concurrency=3), AsyncStream[int])
    assert_type(texts.par_map(length, concurrency=3), AsyncStream[int])
    assert_type(await texts.collect(), list[str])
    assert_type(await texts.first(), str | None)
    assert_type(await texts.first(default=b""), str | bytes)
    assert_type(await texts.reduce(add, 0), int)
    async with texts as same:
        async for text in same:
            assert_type(text, str)


class Source:
    """What a stream can be made of, without being an iterator."""

    def __next__(self) -> int:
        raise StopIteration

    def close(self) -> None: ...


assert_type(Stream(Source()), Stream[int])
assert_type(Stream([1]), Stream[int])


class Message(Generic[T]):
    def __init__(self, value: T) -> None:
        self.value = value
        self.message_id = 1
        self.deliveries = 1
        self.created_at = datetime.now(UTC)
        self.headers: Mapping[str, Any] = {}

    def ack(self) -> None: ...

    def nack(self, delay: Seconds = 0, error: str | None = None) -> None: ...

    def extend(self, seconds: Seconds) -> None: ...


class Queue(Generic[T]):
    """Wider than the protocols: more parameters, and a class of its own for envelopes."""

    def publish(self, value: T, *, delay: Seconds = 0) -> int:
        return 1

    def subscribe(self, *, batch_size: int | None = None) -> Stream[T]:
        return Stream([])

    def subscribe_ack(self, *, batch_size: int | None = None) -> Stream[Message[T]]:
        return Stream([])

    def subscribe_from(self, offset: int) -> Stream[T]:
        return Stream([])


class AsyncQueue(Generic[T]):
    async def publish(self, value: T, *, delay: Seconds = 0) -> int:
        return 1

    def subscribe(self) -> AsyncStream[T]:
        return AsyncStream([])


async def protocols(
    hands_out: Streamable[int],
    takes: Sinkable[bool],
    leases: Acknowledgeable[int],
    replays: Replayable[int],
    async_hands_out: AsyncStreamable[int],
    async_takes: AsyncSinkable[bool],
) -> None:
    assert_type(hands_out.subscribe(), Stream[int])
    assert_type(leases.subscribe_ack(), Stream[Envelope[int]])
    assert_type(replays.subscribe_from("0/1"), Stream[int])
    assert_type(async_hands_out.subscribe(), AsyncStream[int])
    takes.publish(True)
    await async_takes.publish(True)


async def conforming(queue: Queue[bool], async_queue: AsyncQueue[bool]) -> None:
    await protocols(queue, queue, queue, queue, async_queue, async_queue)

"""Shows how far the demo is: a bar on a terminal with rich, lines elsewhere."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

_EVERY = 2.0


class Progress(Protocol):
    """How far the work is."""

    def update(self, done: int) -> None: ...

    def note(self, text: str) -> None: ...


@contextmanager
def show_progress(total: int) -> Iterator[Progress]:
    """The progress of `total` files, for as long as the block lasts."""
    if sys.stdout.isatty() and importlib.util.find_spec("rich") is not None:
        from promin_postgres.cli.demo._rich import show_bar

        with show_bar(total) as bar:
            yield bar
    else:
        yield Lines(total)


class Lines:
    """A line every few seconds."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._shown = -1
        self._next = time.monotonic()

    def update(self, done: int) -> None:
        now = time.monotonic()
        if done != self._shown and (now >= self._next or done == self._total):
            self._shown, self._next = done, now + _EVERY
            self.note(f"{done:,} of {self._total:,} files")

    def note(self, text: str) -> None:
        print(text, flush=True)

"""SIGTERM and SIGINT while a worker runs."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def heeding(stop: Callable[[], object]) -> Iterator[None]:
    """Have the first of these signals call `stop`, and the second end the process; on the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def heed(*_: Any) -> None:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        stop()

    before = {number: signal.signal(number, heed) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            # None: it was not set from Python, and cannot be set back from there.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

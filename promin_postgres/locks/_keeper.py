"""LeaseKeeper: renews leases from a thread of its own."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Mapping

from promin_postgres.errors import shown

logger = logging.getLogger(__name__)


class LeaseKeeper:
    """A thread that renews leases before they run out, on whatever connection `renew` uses.

    It serves the async twins too: an event loop that a handler blocks would not renew in time, a thread does.

    Args:
        renew: Given the token and the subject of every lease, renews them and returns the tokens that are still held.
            Runs in the thread.
        interval: Seconds between two renewals; a third of the lease's duration leaves two more tries.
        duration: Seconds after which a lease that could not be renewed counts as lost.
        on_close: Called once the thread has stopped.
    """

    def __init__(
        self,
        renew: Callable[[Mapping[str, str]], Collection[str]],
        *,
        interval: float,
        duration: float,
        name: str,
        on_close: Callable[[], None],
    ) -> None:
        self._renew = renew
        self._interval = interval
        self._duration = duration
        self._name = name
        self._on_close = on_close
        self._forget()

    def _forget(self) -> None:
        self._kept: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()

    def add(self, token: str, subject: str, *, renewed: float) -> None:
        """Keep a lease alive that was taken at `renewed` on the monotonic clock, from before it was asked for."""
        if self._pid != os.getpid():
            self._forget()  # after a fork the leases are the parent's to keep, and the thread did not come along
        with self._lock:
            self._kept[token] = (subject, renewed)
            if self._thread is None:
                self._stop = threading.Event()
                self._thread = threading.Thread(target=self._run, args=(self._stop,), name=self._name, daemon=True)
                self._thread.start()

    def discard(self, token: str) -> None:
        """Let a lease go."""
        with self._lock:
            self._kept.pop(token, None)

    def holds(self, token: str) -> bool:
        """Whether the lease was renewed recently enough to be ours still."""
        kept = self._kept.get(token) if self._pid == os.getpid() else None
        return kept is not None and time.monotonic() - kept[1] < self._duration

    def close(self) -> list[str]:
        """Stop the thread. Gives back the tokens of the leases that it kept."""
        if self._pid != os.getpid():
            self._forget()
        with self._lock:
            thread, self._thread = self._thread, None
            tokens = list(self._kept)
            self._kept.clear()
            self._stop.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=5)
        self._on_close()
        return tokens

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(self._interval):
            with self._lock:
                subjects = {token: subject for token, (subject, _) in self._kept.items()}
            if not subjects:
                continue
            asked = time.monotonic()
            try:
                held = set(self._renew(subjects))
            except Exception as error:  # noqa: BLE001 - a thread that ends would let every lease run out
                logger.warning("could not renew %d leases, trying again: %s", len(subjects), error)
                continue
            with self._lock:
                for token, subject in subjects.items():
                    if token in held and token in self._kept:
                        self._kept[token] = (subject, asked)
                    elif self._kept.pop(token, None) is not None:
                        logger.warning("the lease on %s was lost", shown(subject))

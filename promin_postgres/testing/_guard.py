"""Removes a container when its owner ends without having done so.

Run by its path, as the supervisor is. The label of a container names the host and the directory that its guard keeps
locked: so the next guard finds the containers whose guards have been killed, too.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from promin_postgres.testing import _supervisor
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _supervisor

_PREFIX = "promin-docker-"
_SECONDS = 10.0


def _guard(owner: _supervisor.Owner, spec: dict[str, Any]) -> None:
    """Wait for the owner to say that its container is removed, and remove it when the owner ends without a word."""
    path, held = _supervisor.make_directory(spec["base"], _PREFIX)
    try:
        owner.answer(label=f"{socket.gethostname()}:{path}")
        sys.path[:] = spec["path"]
        with contextlib.suppress(Exception):  # what other owners left is no affair of this one
            _remove_containers(spec["key"], None)
            _supervisor.sweep(spec["base"], _PREFIX)
        owner.receive()
    except (_supervisor.OwnerGone, SystemExit):
        # The request that creates the container may have outlived the owner: look for a while.
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(Exception):
                if _remove_containers(spec["key"], path):
                    break
            time.sleep(0.2)
    finally:
        _supervisor.remove(path)
        os.close(held)


def _remove_containers(key: str, path: str | None) -> int:
    """Remove the container of one owner, or those of all dead owners on this machine; how many there were."""
    import docker

    client = docker.from_env()
    try:
        removed = 0
        for container in client.containers.list(all=True, ignore_removed=True, filters={"label": key}):
            host, _, owners = container.labels[key].partition(":")
            is_guards = os.path.basename(owners).startswith(_PREFIX)
            if host != socket.gethostname() or not is_guards or path not in (None, owners):
                continue
            # No directory, or one that nobody holds: its guard is dead.
            held = _supervisor.lock(owners) if path is None else None
            if path is not None or held is not None or not os.path.lexists(owners):
                container.remove(force=True, v=True)
                removed += 1
            if held is not None:
                _supervisor.discard(owners)
                os.close(held)
        return removed
    finally:
        client.close()


if __name__ == "__main__":
    _supervisor.run(_guard)

"""A PostgreSQL on binaries of this machine."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Mapping

from promin_postgres.errors import ConfigurationError
from promin_postgres.testing._binaries import Unavailable, server_uid
from promin_postgres.testing._password import new_password, scram_verifier
from promin_postgres.testing._settings import configuration_file
from promin_postgres.testing._supervision import Supervisor

# A password guards the port; a socket would need a short path that other users cannot enter.
_ADDRESSES = {"listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
_MEMORY = "/dev/shm"  # noqa: S108
_MEMORY_NEEDED = 512 * 1024 * 1024


class Cluster:
    """A cluster of our own, in a new directory; both are gone with this process. Raises Unavailable."""

    def __init__(self, binaries: str, *, settings: Mapping[str, str], durable: bool, timeout: float) -> None:
        self._timeout = timeout
        self._lock = threading.Lock()
        password = new_password()
        spec = {
            "bin": binaries,
            "bases": _bases(durable=durable),
            "uid": server_uid(),
            "settings": configuration_file(_ADDRESSES | dict(settings)),
            "password": scram_verifier(password),
            "timeout": timeout,
        }
        self._supervisor = Supervisor()
        try:
            answer = self._supervisor.ask(spec, seconds=2 * timeout)
        except ConfigurationError as error:
            self._supervisor.close()
            raise Unavailable(str(error), "mend what the server complains of") from None
        except BaseException:
            self._supervisor.close()
            raise
        self.directory: str = answer["directory"]
        self.dsn = f"postgresql://postgres:{password}@127.0.0.1:{answer['port']}/postgres?sslmode=disable"

    def stop_and_start(self, mode: str) -> None:
        """Stop the postmaster ("fast", "immediate", "kill") and start it again on the same port and data."""
        with self._lock:
            self._supervisor.ask({"stop": mode}, seconds=2 * self._timeout)

    def close(self) -> None:
        """Take the cluster down and remove its directory."""
        self._supervisor.close()


def _bases(*, durable: bool) -> list[str]:
    """Where to put the data, and where else to look for what dead owners left."""
    disk = next(
        (path for path in (tempfile.gettempdir(), "/var/tmp") if _is_reachable(path)),  # noqa: S108
        tempfile.gettempdir(),
    )
    if not os.access(_MEMORY, os.W_OK | os.X_OK):
        return [disk]
    # What is measured or crashed on purpose belongs on a disk.
    in_memory = not durable and shutil.disk_usage(_MEMORY).free >= _MEMORY_NEEDED
    return [_MEMORY, disk] if in_memory else [disk, _MEMORY]


def _is_reachable(path: str) -> bool:
    """Whether the user who runs the server can enter `path`."""
    if server_uid() is None:
        return True
    path = os.path.realpath(path)
    while os.stat(path).st_mode & 0o001:
        if path == "/":
            return True
        path = os.path.dirname(path)
    return False

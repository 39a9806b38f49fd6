"""PostgreSQL in a Docker container. The only file that imports docker."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from promin_postgres._statement import SqlNames
from promin_postgres.errors import ConfigurationError, InvalidArgument, ServerNotFound
from promin_postgres.testing._binaries import Unavailable
from promin_postgres.testing._password import new_password, scram_verifier
from promin_postgres.testing._settings import SettingValue, complete_settings, timeout_seconds
from promin_postgres.testing._statements import SET_PASSWORD
from promin_postgres.testing._supervision import Supervisor
from promin_postgres.testing._supervisor import free_port

DEFAULT_IMAGE = "postgres:17"
_LABEL = "promin_postgres.testing"
_SOCKET = "/var/run/docker.sock"
_PORT = "5432/tcp"
_DAEMON_SECONDS = 5
_REQUEST_SECONDS = 60
_STOP_SECONDS = 30
_PORT_ATTEMPTS = 10
_MEND = "start Docker, or point DOCKER_HOST at it"
_PORT_TAKEN = ("already allocated", "already in use", "port is not available")
_CONNECT_SECONDS = 3
_POLL = 0.1
_LOOPBACK = "127.0.0.1"
_SIGNALS = {"fast": "SIGINT", "immediate": "SIGQUIT", "kill": "SIGKILL"}


class PostgresTestContainer:
    """PostgreSQL in a Docker container, for as long as the block lasts; gone with this process, however that ends.

    Args:
        image: the image; any that behaves as the official one does.
        settings: values for postgresql.conf.
        durable: keep the durability of PostgreSQL; without it the server never waits for a disk.
        start_timeout: seconds that each start may take once the image is there; more than 0.
    """

    def __init__(
        self,
        image: str = DEFAULT_IMAGE,
        *,
        settings: Mapping[str, SettingValue] | None = None,
        durable: bool = False,
        start_timeout: float | timedelta = 60.0,
    ) -> None:
        self.image = image
        self._settings = complete_settings(settings, durable=durable)
        self._timeout = timeout_seconds(start_timeout)
        self._container: Container | None = None

    @property
    def dsn(self) -> str:
        """The connection string of the maintenance database, as the superuser."""
        return self._started().dsn

    def start(self) -> Self:
        """Start the container and wait until the server takes connections.

        Raises:
            ServerNotFound: no Docker daemon answers, or the server does not come up.
        """
        if self._container is None:
            try:
                self._container = Container(self.image, settings=self._settings, timeout=self._timeout)
            except Unavailable as error:
                raise ServerNotFound(f"docker: {error.problem}\n  to mend it: {error.mend}") from error
        return self

    def stop(self) -> None:
        """Remove the container and its data."""
        container, self._container = self._container, None
        if container is not None:
            container.close()

    def restart(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server and start it again, at the same address and on the same data."""
        if mode not in ("fast", "immediate"):
            raise InvalidArgument("mode", mode, 'must be "fast" or "immediate"')
        self._started().stop_and_start(mode)

    def kill(self) -> None:
        """Kill the server with SIGKILL, as a crash would, and start it again."""
        self._started().stop_and_start("kill")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _started(self) -> Container:
        if self._container is None:
            raise ConfigurationError("the container is not started: use it in a with block, or call start()")
        return self._container


class Container:
    """A running container and its guard. Raises Unavailable."""

    def __init__(self, image: str, *, settings: Mapping[str, str], timeout: float) -> None:
        self._timeout = timeout
        self._lock = threading.Lock()
        self._container: Any = None
        self._is_creating = False
        self._client, self._host = _connect()
        try:
            self._guard = Supervisor("_guard.py")
        except BaseException:
            self._client.close()
            raise
        try:
            with _explained(f"cannot run {image}", f"try it by hand: docker run --rm {image}"):
                # It answers before there is anything to guard: nothing is ever without it.
                spec = {
                    "key": _LABEL,
                    "base": tempfile.gettempdir(),
                    "path": [path for path in sys.path if os.path.isabs(path)],
                }
                label = self._guard.ask(spec, seconds=timeout)["label"]
                self.dsn = self._run(image, settings, label)
        except BaseException:
            self.close()
            raise

    def stop_and_start(self, mode: str) -> None:
        """Stop the server ("fast", "immediate", "kill") and start it again."""
        with self._lock:
            try:
                with _explained("cannot restart the container", "look at docker ps -a"):
                    self._container.kill(signal=_SIGNALS[mode])
                    self._container.wait(timeout=_STOP_SECONDS)
                    self._container.start()
                    self._await_server(self.dsn).close()
            except Unavailable as error:
                raise ConfigurationError(error.problem) from error

    def close(self) -> None:
        """Remove the container. What cannot be removed is left to the guard, which tries for a while."""
        try:
            with contextlib.suppress(Unavailable), _explained("", ""):
                self._remove()
                if not self._is_creating:
                    self._guard.tell({"removed": True})
        finally:
            self._guard.close()
            self._client.close()

    def _run(self, image: str, settings: Mapping[str, str], label: str) -> str:
        from docker import errors

        password = new_password()
        attempt = 0
        while True:
            attempt += 1
            # A port that Docker chose would change with every start.
            port = free_port()
            self._is_creating = True
            try:
                self._container = self._create(
                    image,
                    command=["postgres", *(word for pair in settings.items() for word in ("-c", "=".join(pair)))],
                    environment={"POSTGRES_PASSWORD": password},
                    labels={_LABEL: label},
                    ports={_PORT: ("127.0.0.1" if self._host == _LOOPBACK else "0.0.0.0", port)},  # noqa: S104
                    shm_size="256m",
                )
                self._is_creating = False
                self._container.start()
                break
            except errors.APIError as error:
                self._is_creating = False
                if attempt == _PORT_ATTEMPTS or not any(words in str(error) for words in _PORT_TAKEN):
                    raise
                self._remove()
        dsn = f"postgresql://postgres:{password}@{self._host}:{port}/postgres?sslmode=disable"
        with self._await_server(dsn) as connection:
            names = SqlNames(extra={"verifier": sql.Literal(scram_verifier(password))})
            connection.execute(names.render(SET_PASSWORD))
        return dsn

    def _create(self, image: str, **options: Any) -> Any:
        from docker import errors

        try:
            return self._client.containers.create(image, **options)
        except errors.ImageNotFound:
            self._client.images.pull(*_name_and_tag(image))
            return self._client.containers.create(image, **options)

    def _await_server(self, dsn: str) -> psycopg.Connection[Any]:
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                # The image initialises with a server that listens on a socket only: who answers here is the real one.
                return psycopg.connect(dsn, autocommit=True, connect_timeout=_CONNECT_SECONDS)
            except psycopg.OperationalError as error:
                problem = str(error)
            self._container.reload()
            if self._container.status in ("exited", "dead") or time.monotonic() > deadline:
                logs = self._container.logs(tail=40).decode(errors="replace")
                raise Unavailable(
                    f"the container ({self._container.status}) does not answer at {dsn.partition('@')[2]}: "
                    f"{problem}\n{logs}",
                    "mend what its log complains of",
                )
            time.sleep(_POLL)

    def _remove(self) -> None:
        from docker import errors

        container, self._container = self._container, None
        if container is not None:
            with contextlib.suppress(errors.NotFound):
                container.remove(force=True, v=True)


def _connect() -> tuple[Any, str]:
    _check_socket()
    try:
        import docker
    except ImportError:
        raise Unavailable(
            "the Python package docker is not installed", "pip install 'promin-postgres[testing]'"
        ) from None
    with _explained("no Docker daemon answers", _MEND):
        client = docker.from_env(timeout=_DAEMON_SECONDS)
        try:
            client.ping()
        except BaseException:
            client.close()
            raise
        client.api.timeout = _REQUEST_SECONDS
        address = urlsplit(client.api.base_url)
        return client, (address.hostname or _LOOPBACK) if address.scheme in ("http", "https") else _LOOPBACK


def _check_socket() -> None:
    """Look for the daemon before docker-py does: that takes its time, and leaves a socket open when there is none."""
    address = os.environ.get("DOCKER_HOST") or f"unix://{_SOCKET}"
    if address.startswith(("unix://", "http+unix://")):
        path = "/" + address.partition("://")[2].lstrip("/")
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_DAEMON_SECONDS)
            try:
                probe.connect(path)
            except OSError as error:
                raise Unavailable(f"no Docker daemon answers at {path}: {error.strerror or error}", _MEND) from None


@contextlib.contextmanager
def _explained(problem: str, mend: str) -> Iterator[None]:
    """Turn what goes wrong with Docker into Unavailable."""
    from docker import errors

    try:
        yield
    except (errors.DockerException, ConfigurationError, OSError) as error:  # requests raises OSErrors
        raise Unavailable(f"{problem}: {error}", mend) from error


def _name_and_tag(image: str) -> tuple[str, str | None]:
    """Without a tag docker-py would pull every one of them."""
    if "@" in image or ":" in image.rpartition("/")[2]:
        return image, None
    return image, "latest"

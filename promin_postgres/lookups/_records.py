"""What a lookup is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

import attrs

from promin_postgres._statement import check_identifier
from promin_postgres.errors import InvalidArgument
from promin_postgres.lookups._builtin import AttemptType, StepStatus, StepType, TaskStatus, WorkflowStatus

_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_SMALLINT = range(-32768, 32768)


@attrs.frozen(kw_only=True)
class Lookup:
    """Names for small integers, in the code and in the table `{prefix}{name}`. Made by `define_lookup`."""

    name: str
    entries: Mapping[str, int]


def define_lookup(name: str, entries: Mapping[str, int] | type[IntEnum]) -> Lookup:
    """A lookup of your own.

    Args:
        name: What its table is called, after the prefix; a lower-case identifier.
        entries: The name and number of each entry, or an IntEnum; numbers fit a smallint.

    Raises:
        InvalidArgument: A name or number is malformed or used twice, or the name is that of a built-in lookup.
    """
    lookup = _define(name, entries)
    if any(name == builtin.name for builtin in BUILTIN_LOOKUPS):
        raise InvalidArgument("name", name, "is the name of a built-in lookup")
    return lookup


def _define(name: str, entries: Mapping[str, int] | type[IntEnum]) -> Lookup:
    check_identifier("name", name)
    if not _NAME.fullmatch(name):
        raise InvalidArgument("name", name, "must match [a-z_][a-z0-9_]*")
    if isinstance(entries, type) and issubclass(entries, IntEnum):
        # __members__ has the aliases too, which iteration leaves out: two names for one number.
        entries = entries.__members__
    elif not isinstance(entries, Mapping):
        raise InvalidArgument("entries", entries, "must be a mapping of names to numbers, or an IntEnum class")
    if not entries:
        raise InvalidArgument("entries", entries, "must not be empty")
    numbers: dict[int, str] = {}
    for label, number in entries.items():
        if (
            not isinstance(label, str)
            or not label
            or any(char == "\x00" or "\ud800" <= char <= "\udfff" for char in label)
        ):
            raise InvalidArgument("entries", label, "a name must be a non-empty string that PostgreSQL can store")
        if isinstance(number, bool) or not isinstance(number, int) or number not in _SMALLINT:
            raise InvalidArgument("entries", number, f"the number of {label!r} must fit a smallint")
        twin = numbers.setdefault(int(number), label)
        if twin != label:
            raise InvalidArgument("entries", number, f"is the number of both {twin!r} and {label!r}")
    return Lookup(name=name, entries=MappingProxyType({label: number for number, label in numbers.items()}))


BUILTIN_LOOKUPS = (
    _define("workflow_status", WorkflowStatus),
    _define("step_status", StepStatus),
    _define("step_type", StepType),
    _define("attempt_type", AttemptType),
    _define("task_status", TaskStatus),
)
"""The lookups of our own tables, which migrations create."""

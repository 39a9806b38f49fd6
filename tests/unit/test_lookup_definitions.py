"""define_lookup: what it takes, what it refuses; and how lookups are compared."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import pytest

from promin_postgres.errors import InvalidArgument
from promin_postgres.lookups import BUILTIN_LOOKUPS, WorkflowStatus, define_lookup
from promin_postgres.lookups._compare import conflicts, differences

COLOR = define_lookup("color", {"red": 1, "green": 2, "blue": 3})


class Size(IntEnum):
    SMALL = 1
    LARGE = 2


class Aliased(IntEnum):
    ONE = 1
    UNO = 1


def test_takes_a_mapping_or_an_enum() -> None:
    assert dict(COLOR.entries) == {"red": 1, "green": 2, "blue": 3}
    size = define_lookup("size", Size)
    assert dict(size.entries) == {"SMALL": 1, "LARGE": 2}
    assert {type(number) for number in size.entries.values()} == {int}


def test_entries_cannot_be_changed_afterwards() -> None:
    source = {"red": 1}
    lookup = define_lookup("color", source)
    source["blue"] = 2
    assert dict(lookup.entries) == {"red": 1}
    with pytest.raises(TypeError):
        lookup.entries["blue"] = 2  # type: ignore[index]


@pytest.mark.parametrize(
    ("name", "entries", "argument"),
    [
        ("", {"a": 1}, "name"),
        ("Color", {"a": 1}, "name"),
        ('co"lor', {"a": 1}, "name"),
        ("x" * 64, {"a": 1}, "name"),
        ("step_status", {"a": 1}, "name"),
        ("color", {}, "entries"),
        ("color", ["a"], "entries"),
        ("color", {"": 1}, "entries"),
        ("color", {"a\x00": 1}, "entries"),
        ("color", {"\ud800": 1}, "entries"),
        ("color", {1: 1}, "entries"),
        ("color", {"a": True}, "entries"),
        ("color", {"a": 1.0}, "entries"),
        ("color", {"a": 32768}, "entries"),
        ("color", {"a": -32769}, "entries"),
        ("color", {"a": 1, "b": 1}, "entries"),
        ("color", Aliased, "entries"),
    ],
)
def test_refuses(name: Any, entries: Any, argument: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        define_lookup(name, entries)
    assert caught.value.argument == argument


def test_the_built_in_ones_are_the_enums() -> None:
    assert [lookup.name for lookup in BUILTIN_LOOKUPS] == [
        "workflow_status",
        "step_status",
        "step_type",
        "attempt_type",
        "task_status",
    ]
    assert BUILTIN_LOOKUPS[0].entries["CANCELLED"] == WorkflowStatus.CANCELLED


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ({1: "red", 2: "green", 3: "blue"}, []),
        (None, ["color: the table is missing; seed_lookups creates it"]),
        ({1: "red", 2: "green"}, ["color: 'blue' (3) is missing"]),
        ({1: "red", 2: "lime", 3: "blue"}, ["color: 2 is 'lime' in the database and 'green' in the code"]),
        ({1: "red", 7: "green", 3: "blue"}, ["color: 'green' is 7 in the database and 2 in the code"]),
        ({1: "red", 2: "green", 3: "blue", 4: "pink"}, ["color: 'pink' (4) is not known to the code"]),
        (
            {1: "green", 4: "pink"},
            [
                "color: 1 is 'green' in the database and 'red' in the code",
                "color: 'green' is 1 in the database and 2 in the code",
                "color: 'blue' (3) is missing",
                "color: 'pink' (4) is not known to the code",
            ],
        ),
    ],
)
def test_every_difference_is_reported(rows: dict[int, str] | None, expected: list[str]) -> None:
    assert differences([COLOR], {"color": rows}) == expected


def test_seeding_is_stopped_by_what_is_taken_and_by_nothing_else() -> None:
    assert conflicts([COLOR], {"color": None}) == []
    assert conflicts([COLOR], {"color": {1: "red", 9: "pink"}}) == []
    assert len(conflicts([COLOR], {"color": {1: "green"}})) == 2
    [table_missing] = conflicts(BUILTIN_LOOKUPS[:1], {"workflow_status": None})
    assert "migrate creates it" in table_missing

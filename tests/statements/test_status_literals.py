"""Each number of a status or a type in our SQL says which member it is, and is right."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from _sources import SQL_FILES

from promin_postgres._statement import read_sql
from promin_postgres.lookups import AttemptType, StepStatus, StepType, TaskStatus, WorkflowStatus

LOOKUPS = (WorkflowStatus, StepStatus, StepType, AttemptType, TaskStatus)
_NAMED = re.compile(r"(\d+) /\* ([A-Z_]+) \*/")
_COLUMN = r"(?:\w+\.)?(?:\w*status|\w*_type)(?:::smallint)?"
_NUMBER = r"\d+(?!\ /\*\ [A-Z_]+\ \*/|\d)"
_UNNAMED = re.compile(
    rf"""\b{_COLUMN}\s*(?:=|<>|!=|<=?|>=?|IS\ (?:NOT\ )?DISTINCT\ FROM)\s*{_NUMBER}   # w.status = 4
     | \b{_COLUMN}\s+(?:NOT\ )?IN\s*\((?:[^()]*,)?\s*{_NUMBER}                        # w.status NOT IN (4, 6)
     | \b{_NUMBER}\s*(?:=|<>|!=)\s*{_COLUMN}\b                                        # 4 = w.status
     | \b(?:status|\w+_type)\s+smallint\s[^,]*DEFAULT\s{_NUMBER}                      # status smallint DEFAULT 1
    """,
    re.VERBOSE,
)


def unnamed(text: str) -> list[str]:
    return [match[0] for match in _UNNAMED.finditer(text)]


def wrong(text: str) -> Iterator[str]:
    """Numbers whose comment names no member with that value."""
    for number, name in _NAMED.findall(text):
        if not any(name in lookup.__members__ and lookup[name] == int(number) for lookup in LOOKUPS):
            yield f"{number} /* {name} */"


@pytest.mark.parametrize("name", SQL_FILES)
def test_numbers_are_named_and_right(name: str) -> None:
    _, body = read_sql(name)
    assert unnamed(body) == []
    assert list(wrong(body)) == []


def test_there_are_some() -> None:
    assert sum(len(_NAMED.findall(read_sql(name)[1])) for name in SQL_FILES) > 20


@pytest.mark.parametrize(
    "text",
    [
        "w.status = 4",
        "status <> 4 AND x",
        "SET status = 2, x = 1",
        "w.status IN (4, 6)",
        "w.status NOT IN (4 /* COMPLETED */, 6)",
        "s.step_type = 12",
        "4 = w.status",
        "%(x)s AND status IS DISTINCT FROM 3",
        "status smallint NOT NULL DEFAULT 1,",
        "step_type smallint DEFAULT 1 REFERENCES x",
    ],
)
def test_a_bare_number_is_found(text: str) -> None:
    assert len(unnamed(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "w.status = 4 /* COMPLETED */",
        "w.status NOT IN (4 /* COMPLETED */, 6 /* CANCELLED */)",
        "SET status = %(status)s::smallint, run = 1",
        "status smallint NOT NULL DEFAULT 1 /* PENDING */,",
        "w.status = %(status)s::smallint AND 4 = w.run",
        "o.state = 4",
    ],
)
def test_anything_else_is_not(text: str) -> None:
    assert unnamed(text) == []


@pytest.mark.parametrize("text", ["4 /* CANCELLED */", "4 /* COMPLETE */", "11 /* PENDING */"])
def test_a_wrong_name_is_found(text: str) -> None:
    assert list(wrong(text)) == [text]

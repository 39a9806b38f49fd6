"""Statements of a test's own."""

from __future__ import annotations

import pytest

from promin_postgres import _statement
from promin_postgres._statement import Statement


class Probe:
    """`probe("SELECT 1 AS one")` is a Statement, as if its text stood in a file."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._texts: dict[str, str] = {}
        read = _statement.read_sql
        monkeypatch.setattr(
            _statement, "read_sql", lambda name: ("", self._texts[name]) if name in self._texts else read(name)
        )

    def __call__(self, text: str, *, idempotent: bool = False) -> Statement:
        name = f"test/{len(self._texts)}"
        self._texts[name] = text
        return Statement(name, idempotent=idempotent)


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Probe:
    return Probe(monkeypatch)

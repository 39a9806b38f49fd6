"""A claimer that the bell woke looks behind his marks first, and does not forget what is before them."""

from __future__ import annotations

import sys
from typing import Any
from uuid import uuid4

import pytest
from _tasks import new_core, new_steps, some, steps, watch
from _waiting import until

from promin_postgres._watermark import Start
from promin_postgres.steps._async_core import AsyncStepCore
from promin_postgres.steps._sync_core import StepCore

__all__ = ["new_core", "new_steps", "steps", "watch"]

DEFAULT = ["default"]


def test_what_rang_comes_before_what_came_back(new_core: Any, steps: Any, watch: Any) -> None:
    core = new_core()
    first, second = steps.enqueue_many(some(2))
    assert [task.id for task in core.claim(DEFAULT, 2, "strict-priority")] == [first, second]
    watch.execute("UPDATE wf_step_queue SET claimed_by = NULL WHERE id = %s", [first])
    new = steps.enqueue("w", "new")
    core._start = Start(clock=lambda: 10.0)
    core._start.looked_from_start(began=10.0)
    assert core._start.is_due
    core.look_behind_marks()
    assert [task.id for task in core.claim(DEFAULT, 1, "strict-priority")] == [new]
    core.look_behind_marks()
    assert [task.id for task in core.claim(DEFAULT, 1, "strict-priority")] == [
        first
    ]  # nothing is behind the marks: the same call looks from the start


def test_who_finds_all_he_asks_for_is_not_calm(new_core: Any, steps: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[StepCore.__module__], "_QUICK", 60.0)
    monkeypatch.setattr(sys.modules[AsyncStepCore.__module__], "_QUICK", 60.0)
    core = new_core()
    assert core.claim(DEFAULT, 2, "strict-priority") == []
    assert core._is_calm
    steps.enqueue_many(some(2))
    assert len(core.claim(DEFAULT, 2, "strict-priority")) == 2
    assert not core._is_calm


def test_a_bell_that_keeps_ringing_hides_nothing(new_core: Any, steps: Any) -> None:
    core = new_core()
    steps.enqueue("late", "s", delay=0.5)

    def look() -> str:
        steps.enqueue(uuid4().hex, "s")
        core.look_behind_marks()
        (task,) = core.claim(DEFAULT, 1, "strict-priority")
        return str(task.workflow_id)

    assert look() != "late"
    until(lambda: look() == "late", timeout=30)

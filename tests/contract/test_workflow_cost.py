"""What a run in this process sends to the server: nothing is asked or written twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from promin_postgres import Context, StepFailed
from promin_postgres.codec import JsonCodec
from promin_postgres.database import AsyncExecutor, Executor

New = Callable[..., Any]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the statements about workflows, as they go to the server."""
    names: list[str] = []
    for executor in (Executor, AsyncExecutor):
        run = executor._run

        def noting(self: Any, statement: Any, *args: Any, run: Any = run) -> Any:
            if statement.name.startswith("workflow/"):
                names.append(statement.name.removeprefix("workflow/"))
            return run(self, statement, *args)

        monkeypatch.setattr(executor, "_run", noting)
    return names


def test_a_new_run_takes_one_statement_to_start_and_one_for_each_step(new_workflow: New, sent: list[str]) -> None:
    flow = new_workflow("w").step("a", lambda ctx: 1).step("b", lambda ctx: 2).step("c", lambda ctx: 3)
    assert flow.run(workflow_id="w") == 3
    assert sent == ["load_run", "create_workflow", "save_step", "save_step", "save_last_step", "release_lease"]
    sent.clear()
    assert flow.run(workflow_id="w") == 3
    assert sent == ["load_run"]


def test_a_run_that_is_taken_up_loads_its_steps_once(new_workflow: New, sent: list[str]) -> None:
    broken = [1]

    def work(ctx: Context) -> None:
        if broken:
            raise ValueError

    flow = new_workflow("w").step("a", lambda ctx: 1).step("b", work)
    with pytest.raises(StepFailed):
        flow.run(workflow_id="w")
    broken.clear()
    sent.clear()
    flow.run(workflow_id="w")
    assert sent == [
        "load_run", "take_lease", "load_run", "load_progress", "begin_run", "load_results", "save_last_step",
        "release_lease",
    ]  # fmt: skip


def test_a_result_is_encoded_once(new_workflow: New, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[Any] = []
    encode = JsonCodec.encode

    def noting(self: Any, value: Any, *, subject: str | None = None) -> str:
        encoded.append(value)
        return encode(self, value, subject=subject)

    monkeypatch.setattr(JsonCodec, "encode", noting)
    flow = new_workflow("w").step("a", lambda ctx: {"result": "of a"}).step("b", lambda ctx: [ctx.prev])
    assert flow.run(workflow_id="w") == [{"result": "of a"}]
    assert (encoded.count({"result": "of a"}), encoded.count([{"result": "of a"}])) == (1, 1)

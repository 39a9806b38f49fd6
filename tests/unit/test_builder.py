"""Every kind of step and every policy is checked at the call that gives it, and kept as it was given."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, cast

import pytest

from promin_postgres import (
    CodecError,
    Compensation,
    Fallback,
    Hooks,
    Idempotency,
    InvalidArgument,
    PostgresWorkflowStorage,
    Retry,
    Workflow,
    async_workflow,
    workflow,
)

STORAGE = cast(PostgresWorkflowStorage, None)  # nothing is run here
MOMENT = datetime(2030, 1, 1, tzinfo=UTC)


def work(ctx: Any) -> None: ...


@pytest.fixture(params=[workflow, async_workflow], ids=["sync", "async"])
def new(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return lambda **options: request.param("w", storage=STORAGE, **options)


def test_every_kind_of_step_is_kept(new: Callable[..., Any]) -> None:
    other = new().step("inner", work)
    flow: Workflow = (
        new()
        .step("list", work, transactional=True, compensate=work, queue="big", priority=9)
        .map_over("each", work, over="list", concurrency=3, retry=Retry(max_attempts=4))
        .branch("way", condition=work, if_true=work)
        .parallel("both", {"left": work, "right": work}, on_failure="skip")
        .sleep("night", timedelta(hours=8))
        .sleep("new year", until=MOMENT)
        .wait_for_signal("ok", signal="approved", timeout=60, on_timeout=Fallback(False))
        .subworkflow("child", other, input={"a": 1}, workflow_id="c", queue="children")
    )
    steps = flow.definition.steps
    assert [step.kind.name for step in steps.values()] == [
        "STEP", "MAP", "BRANCH", "PARALLEL", "SLEEP", "SLEEP", "SIGNAL", "SUBWORKFLOW",
    ]  # fmt: skip
    assert all(
        step.depends_on == (before,) for before, step in zip(list(steps), list(steps.values())[1:], strict=False)
    )
    first, each, way, both = (steps[name] for name in ("list", "each", "way", "both"))
    assert (first.transactional, first.compensate, first.queue, first.priority) == (True, work, "big", 9)
    assert each.map is not None
    assert (each.map.over, each.map.concurrency, each.retry.max_attempts) == ("list", 3, 4)
    assert way.branch is not None
    assert (way.branch.if_true, way.branch.if_false) == (work, None)
    assert both.parallel is not None
    assert (list(both.parallel), both.on_failure) == (["left", "right"], "skip")
    night, year, ok, child = (steps[name] for name in ("night", "new year", "ok", "child"))
    assert night.pause is not None
    assert year.pause is not None
    assert (night.pause.seconds, year.pause.until) == (28_800.0, MOMENT)
    assert ok.signal is not None
    assert (ok.signal.signal, ok.signal.timeout, ok.on_failure) == ("approved", 60.0, Fallback(False))
    assert child.child is not None
    assert (child.child.definition, child.child.input, child.child.queue) == (other.definition, {"a": 1}, "children")


def test_a_map_waits_for_what_it_goes_over(new: Callable[..., Any]) -> None:
    flow = new().step("a", work).step("b", work, depends_on=[])
    assert flow.map_over("m", work, over="a").definition.steps["m"].depends_on == ("a",)
    assert flow.map_over("m", work, over="a", depends_on="b").definition.steps["m"].depends_on == ("b", "a")
    assert flow.map_over("m", work, over=work).definition.steps["m"].depends_on == ("b",)
    with pytest.raises(InvalidArgument, match="'nowhere', which is not a step"):
        flow.map_over("m", work, over="nowhere").definition.check()


def test_the_workflow_it_was_called_on_stays_as_it_is(new: Callable[..., Any]) -> None:
    flow = new().step("a", work)
    flow.sleep("b", 1)
    assert list(flow.definition.steps) == ["a"]


@pytest.mark.parametrize(
    ("argument", "call"),
    [
        ("fn", lambda w: w.map_over("m", None, over="a")),
        ("over", lambda w: w.map_over("m", work, over=[1, 2])),
        ("concurrency", lambda w: w.map_over("m", work, over="a", concurrency=0)),
        ("condition", lambda w: w.branch("b", condition=True, if_true=work)),
        ("if_true", lambda w: w.branch("b", condition=work, if_true=None)),
        ("if_false", lambda w: w.branch("b", condition=work, if_true=work, if_false=7)),
        ("functions", lambda w: w.parallel("p", {})),
        ("functions", lambda w: w.parallel("p", [work])),
        ("label", lambda w: w.parallel("p", {"": work})),
        ("right", lambda w: w.parallel("p", {"left": work, "right": None})),
        ("seconds", lambda w: w.sleep("s")),
        ("seconds", lambda w: w.sleep("s", -1)),
        ("seconds", lambda w: w.sleep("s", 1, until=MOMENT)),
        ("until", lambda w: w.sleep("s", until=datetime(2030, 1, 1))),  # noqa: DTZ001 - what is refused
        ("signal", lambda w: w.wait_for_signal("s", signal="")),
        ("timeout", lambda w: w.wait_for_signal("s", signal="x", timeout=-1)),
        ("on_timeout", lambda w: w.wait_for_signal("s", signal="x", timeout=1, on_timeout="wait")),
        ("on_timeout", lambda w: w.wait_for_signal("s", signal="x", on_timeout="skip")),
        ("definition", lambda w: w.subworkflow("c", work)),
        ("workflow", lambda w: w.subworkflow("c", w)),
        ("workflow_id", lambda w: w.subworkflow("c", w.step("a", work), workflow_id="")),
        ("name", lambda w: w.sleep("taken", 1).sleep("taken", 1)),
        ("depends_on", lambda w: w.sleep("s", 1, depends_on=7)),
    ],
)
def test_what_is_wrong_with_a_step_is_refused_at_its_call(
    new: Callable[..., Any], argument: str, call: Callable[[Any], Any]
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        call(new())
    assert caught.value.argument == argument


@pytest.mark.parametrize(
    ("argument", "make"),
    [
        ("retry", lambda new: new(retry=3)),
        ("compensate", lambda new: new(compensate=work)),
        ("dlq", lambda new: new(dlq="queue")),
        ("idempotency", lambda new: new(idempotency=60)),
        ("deadline", lambda new: new(deadline=0)),
        ("hooks", lambda new: new(hooks=[work])),
        ("trigger", lambda _: Compensation(trigger=cast(Any, "never"))),
        ("retry", lambda _: Compensation(retry=cast(Any, 3))),
        ("on_complete", lambda _: Compensation(on_complete=cast(Any, 3))),
        ("ttl", lambda _: Idempotency(ttl=-1)),
        ("failure_ttl", lambda _: Idempotency(failure_ttl=cast(Any, "1h"))),
        ("on_in_flight", lambda _: Idempotency(on_in_flight=cast(Any, "wait"))),
        ("on_expiry", lambda _: Idempotency(on_expiry=cast(Any, "forget"))),
        ("on_step_start", lambda _: Hooks(on_step_start=cast(Any, "print"))),
    ],
)
def test_what_is_wrong_with_a_policy_is_refused_at_its_call(
    new: Callable[..., Any], argument: str, make: Callable[[Any], Any]
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        make(new)
    assert caught.value.argument == argument


async def awaited(ctx: Any) -> None: ...


class Awaited:
    async def publish(self, value: Any) -> None: ...

    async def __call__(self, ctx: Any) -> None: ...


@pytest.mark.parametrize(
    ("argument", "make"),
    [
        ("fn", lambda new: new().step("a", awaited)),
        ("fn", lambda new: new().step("a", partial(awaited))),
        ("fn", lambda new: new().step("a", Awaited())),
        ("fn", lambda new: new().step("a", work).map_over("m", awaited, over="a")),
        ("over", lambda new: new().map_over("m", work, over=awaited)),
        ("compensate", lambda new: new().step("a", work, compensate=awaited)),
        ("on_failure", lambda new: new().step("a", work, on_failure=Fallback(awaited))),
        ("condition", lambda new: new().branch("b", condition=awaited, if_true=work)),
        ("if_false", lambda new: new().branch("b", condition=work, if_true=work, if_false=awaited)),
        ("functions", lambda new: new().parallel("p", {"a": work, "b": awaited})),
        ("input", lambda new: new().subworkflow("c", new().step("a", work), input=awaited)),
        ("on_complete", lambda new: new(compensate=Compensation(on_complete=awaited))),
        ("on_step_failure", lambda new: new(hooks=Hooks(on_step_failure=awaited))),
        ("dlq", lambda new: new(dlq=Awaited())),
    ],
)
def test_only_the_async_twin_takes_coroutine_functions(
    new: Callable[..., Any], argument: str, make: Callable[[Any], Any]
) -> None:
    if isinstance(new(), Workflow):
        with pytest.raises(InvalidArgument, match="coroutine function: use async_workflow") as caught:
            make(new)
        assert caught.value.argument == argument
    else:
        make(new)


def test_values_that_are_not_json_are_refused_at_the_call(new: Callable[..., Any]) -> None:
    with pytest.raises(CodecError):
        Fallback({1, 2})
    with pytest.raises(CodecError):
        new().subworkflow("c", new().step("a", work), input=object())


def test_policies_are_kept_and_have_defaults(new: Callable[..., Any]) -> None:
    plain = new().definition
    assert plain.retry.max_attempts == 1
    assert plain.compensate == Compensation()
    assert plain.hooks == Hooks()
    assert (plain.idempotency, plain.dlq, plain.deadline) == (None, None, None)
    sink = type("Sink", (), {"publish": work})()
    full = new(
        retry=Retry(max_attempts=2),
        compensate=Compensation(trigger="immediate", on_complete=work),
        dlq=sink,
        idempotency=Idempotency(ttl=timedelta(minutes=1)),
        deadline=timedelta(days=1),
        hooks=Hooks(on_workflow_failure=work),
    ).definition
    assert (full.retry.max_attempts, full.compensate.trigger, full.dlq) == (2, "immediate", sink)
    assert full.idempotency is not None
    assert (full.idempotency.ttl, full.deadline, full.hooks.on_workflow_failure) == (60.0, 86_400.0, work)


def test_what_tasks_carry_names_the_workflow_and_its_version(new: Callable[..., Any]) -> None:
    assert new().definition.key == "workflow:w@"
    assert new(version="2").definition.key == "workflow:w@2"

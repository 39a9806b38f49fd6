"""Workflows as text for Mermaid and Graphviz: every kind of step, every name, always the same."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from _flowchart import Flowchart, read_dot
from hypothesis import given
from hypothesis import strategies as st

from promin_postgres.lookups import StepStatus, StepType, WorkflowStatus
from promin_postgres.workflow import Workflow
from promin_postgres.workflow.definition import Definition, draw_run, specs
from promin_postgres.workflow.storage import StepState, TaskState, WorkflowState

NOW = datetime(2026, 11, 22, tzinfo=UTC)
HOSTILE = [
    'say "hello"',
    "a]b)c}d>e",
    "back\\slash\\n",
    "`code` **bold**",
    "end",
    "subgraph x",
    "%%{init: {}}%%",
    "s0 --> s1",
    "<script>alert(1)</script>",
    "#quot;",
    "line\nbreak\r\ttab",
    "ключ 鍵 🔑",
    "style s0 fill:#f00;",
    "{{x}}",
    "\u202ereversed\u2028",
]


def act(ctx: Any) -> None: ...


def built(name: str = "every kind", version: str | None = None) -> Workflow:
    storage: Any = None
    return Workflow(definition=Definition(name=name, version=version), storage=storage)


def every_kind() -> Workflow:
    return (
        built(version="2")
        .step("fetch", act)
        .map_over("each", act, over="fetch", concurrency=3)
        .branch("decide", condition=act, if_true=act)
        .parallel("both", {"left": act, "right": act}, depends_on=["decide"])
        .sleep("cool off", timedelta(hours=1))
        .sleep("till spring", until=datetime(2027, 3, 20, tzinfo=UTC), depends_on=["decide"])
        .wait_for_signal("answer", signal="approval", timeout=60, depends_on=["cool off", "till spring"])
        .subworkflow("ship", built("shipping").step("send", act))
    )


def state_of(flow: Workflow, steps: dict[str, StepState], workflow_id: str = "w-1") -> WorkflowState:
    return WorkflowState(
        workflow_id=workflow_id,
        workflow_name=flow.definition.name,
        workflow_type=None,
        namespace=None,
        version=flow.definition.version,
        parent_workflow_id=None,
        run=1,
        status=WorkflowStatus.RUNNING,
        input=None,
        result=None,
        error=None,
        metadata=None,
        steps=steps,
        created_at=NOW,
        started_at=NOW,
        updated_at=NOW,
        completed_at=None,
        loaded_at=NOW,
    )


def step_state(name: str, status: StepStatus, **fields: Any) -> StepState:
    given = {
        "step_type": StepType.STEP,
        "depends_on": (),
        "result": None,
        "error": None,
        "attempt": 1,
        "started_at": None,
        "completed_at": None,
        "duration": None,
        "tasks": (),
        "wake_at": None,
        "signal_name": None,
        "signal_timeout_at": None,
        "metadata": None,
    }
    return StepState(step_name=name, status=status, **given | fields)


def test_every_kind_of_step_has_its_shape_and_its_details() -> None:
    chart = Flowchart(every_kind().to_mermaid())
    assert chart.labels == {
        "fetch": [],
        "each": ["for each of fetch, 3 at a time"],
        "decide": [],
        "both": ["left", "right"],
        "cool off": ["3600 s"],
        "till spring": ["until 2027-03-20T00:00:00+00:00"],
        "answer": ["signal approval, for 60 s"],
        "ship": ["workflow shipping"],
    }
    kinds = list(chart.kinds.values())
    assert len(set(kinds)) == len(StepType), "each kind looks different"
    assert {step.kind for step in every_kind().definition.steps.values()} == set(StepType)
    assert chart.edges == [
        ("fetch", "each"),
        ("each", "decide"),
        ("decide", "both"),
        ("both", "cool off"),
        ("decide", "till spring"),
        ("cool off", "answer"),
        ("till spring", "answer"),
        ("answer", "ship"),
    ]
    assert "every kind (2)" in every_kind().to_mermaid()


def test_the_digraph_has_the_same_steps_and_edges() -> None:
    labels, edges = read_dot(every_kind().to_dot())
    chart = Flowchart(every_kind().to_mermaid())
    assert [label.split("\n")[0] for label in labels.values()] == list(chart.labels)
    assert [(labels[a].split("\n")[0], labels[b].split("\n")[0]) for a, b in edges] == chart.edges
    assert labels["s3"] == "both\nleft\nright"


def test_the_same_definition_gives_the_same_text() -> None:
    assert every_kind().to_mermaid() == every_kind().to_mermaid()
    assert every_kind().to_dot() == every_kind().to_dot()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_a_name(name: str) -> None:
    flow = built(name, version=name).step(name, act).step("next", act).parallel("both", {name: act})
    chart = Flowchart(flow.to_mermaid())
    assert list(chart.labels) == [name, "next", "both"]
    assert chart.labels["both"] == [name]
    assert chart.edges == [(name, "next"), ("next", "both")]
    labels, edges = read_dot(flow.to_dot())
    assert len(labels) == 3
    assert edges == [("s0", "s1"), ("s1", "s2")]
    if name.isprintable():
        assert labels["s0"] == name
    Flowchart(draw_run(flow.definition, state_of(flow, {}, workflow_id=name)))


@given(st.text(alphabet=st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=80))
def test_any_name_stays_a_name(name: str) -> None:
    flow = built(name).step(name, act)
    assert list(Flowchart(flow.to_mermaid()).labels) == [name]
    assert len(read_dot(flow.to_dot())[0]) == 1


def test_steps_that_are_not_there_are_not_drawn() -> None:
    flow = built().step("a", act, depends_on=["gone"])
    assert Flowchart(flow.to_mermaid()).edges == []
    assert read_dot(flow.to_dot())[1] == []
    assert Flowchart(built().to_mermaid()).labels == {}


def test_a_run_is_coloured_by_the_status_of_its_steps() -> None:
    flow = built()
    for status in StepStatus:
        flow = flow.step(status.name, act)
    flow = flow.step("not recorded", act)
    recorded = {status.name: step_state(status.name, status) for status in StepStatus}
    text = draw_run(flow.definition, state_of(flow, recorded | {"of another version": step_state("x", StepStatus(4))}))
    expected = {status.name: status.name.lower() for status in StepStatus} | {"not recorded": "pending"}
    assert Flowchart(text).classes == expected
    assert "run 1 of w-1: RUNNING" in text


def test_a_run_shows_attempts_and_how_far_a_map_step_is() -> None:
    flow = every_kind()
    element = {"error": None, "attempt": 1, "started_at": None, "completed_at": None, "duration": None, "result": None}
    tasks = tuple(TaskState(task_index=n, status=StepStatus(status), **element) for n, status in enumerate((4, 6, 1)))
    recorded = {
        "fetch": step_state("fetch", StepStatus.COMPLETED, attempt=3),
        "each": step_state("each", StepStatus.RUNNING, tasks=tasks),
    }
    chart = Flowchart(draw_run(flow.definition, state_of(flow, recorded)))
    assert chart.labels["fetch"] == ["attempt 3"]
    assert chart.labels["each"] == ["for each of fetch, 3 at a time", "2 of 3 done"]


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs dot of Graphviz")
def test_graphviz_takes_it() -> None:
    for flow in (every_kind(), *(built(name).step(name, act) for name in HOSTILE)):
        subprocess.run(["dot", "-Tplain"], input=flow.to_dot(), text=True, check=True, capture_output=True)


def test_a_drawing_names_every_step_of_a_long_definition_once() -> None:
    flow = built()
    for number in range(300):
        flow = flow.step(f"s{number}", act)
    chart = Flowchart(flow.to_mermaid())
    assert len(chart.labels) == len(specs(flow.definition)) == 300
    assert len(chart.edges) == 299

"""Definitions and runs as text that Mermaid and Graphviz draw. Pure: the same steps give the same text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from promin_postgres.lookups import StepStatus, StepType
from promin_postgres.workflow.definition._function import ROOT, FunctionBody, body_of, noted
from promin_postgres.workflow.definition._records import Definition
from promin_postgres.workflow.definition._steps import Step
from promin_postgres.workflow.storage._records import StepState, WorkflowState

_MERMAID_SHAPES = {
    StepType.STEP: ("[", "]"),
    StepType.MAP: ("[/", "/]"),
    StepType.BRANCH: ("{", "}"),
    StepType.PARALLEL: ("{{", "}}"),
    StepType.SLEEP: ("([", "])"),
    StepType.SIGNAL: (">", "]"),
    StepType.SUBWORKFLOW: ("[[", "]]"),
}
_DOT_SHAPES = {
    StepType.STEP: "box",
    StepType.MAP: "parallelogram",
    StepType.BRANCH: "diamond",
    StepType.PARALLEL: "hexagon",
    StepType.SLEEP: "ellipse",
    StepType.SIGNAL: "cds",
    StepType.SUBWORKFLOW: "box3d",
}
_COLOURS = {
    StepStatus.PENDING: "fill:#f2f2f2,stroke:#999999,color:#333333",
    StepStatus.RUNNING: "fill:#cfe2ff,stroke:#0d6efd,color:#052c65",
    StepStatus.WAITING: "fill:#fff3cd,stroke:#cc9a06,color:#664d03",
    StepStatus.COMPLETED: "fill:#d1e7dd,stroke:#198754,color:#0a3622",
    StepStatus.FAILED: "fill:#f8d7da,stroke:#dc3545,color:#58151c",
    StepStatus.SKIPPED: "fill:#ffffff,stroke:#999999,color:#666666",
    StepStatus.CANCELLED: "fill:#e2e3e5,stroke:#6c757d,color:#2b2f32",
    StepStatus.COMPENSATED: "fill:#e2d9f3,stroke:#6f42c1,color:#432874",
}
_PLAIN = frozenset(" _-.,:/+=()")


def to_mermaid(definition: Definition) -> str:
    """The steps of a definition as a Mermaid flowchart, in the order of their declaration."""
    return _flowchart(_title(definition.name, definition.version), _declared(definition))


def to_dot(definition: Definition) -> str:
    """The steps of a definition as a Graphviz digraph, in the order of their declaration."""
    steps = definition.steps
    number = {name: f"s{n}" for n, name in enumerate(steps)}
    lines = [f"digraph {_quoted([_title(definition.name, definition.version)])} {{"]
    for name, step in steps.items():
        label = _quoted([name, *_details(step)])
        lines.append(f"    {number[name]} [shape={_DOT_SHAPES[step.kind]}, label={label}];")
    for name, step in steps.items():
        lines += (f"    {number[one]} -> {number[name]};" for one in step.depends_on if one in number)
    return "\n".join([*lines, "}"]) + "\n"


def draw_run(definition: Definition | None, state: WorkflowState) -> str:
    """A run as a Mermaid flowchart whose steps are coloured by status, each status a class of its name.

    Steps of a durable function are those that it has asked for, in the order in which they ended. Without a definition
    the steps are those that are recorded.
    """
    title = f"{_title(state.workflow_name, state.version)}, run {state.run} of {state.workflow_id}: {state.status.name}"
    if ROOT in state.steps if definition is None else body_of(definition) is not None:
        return _flowchart(title, _asked_for(state), state.steps)
    if definition is None:
        return _flowchart(
            title, [(step.step_name, step.step_type, (), step.depends_on) for step in state.steps.values()], state.steps
        )
    return _flowchart(title, _declared(definition), state.steps)


class Drawn:
    """A workflow that can show itself."""

    __slots__ = ()
    definition: Definition

    def to_mermaid(self) -> str:
        """The steps as a Mermaid flowchart, in the order of their declaration. Same definition, same text."""
        return to_mermaid(self.definition)

    def to_dot(self) -> str:
        """The steps as a digraph for Graphviz (`dot -Tsvg`), in the order of their declaration."""
        return to_dot(self.definition)


_Node = tuple[str, StepType, Sequence[str], Sequence[str]]
"""Name, kind, details, and the names that it follows."""


def _declared(definition: Definition) -> list[_Node]:
    return [(name, step.kind, _details(step), step.depends_on) for name, step in definition.steps.items()]


def _asked_for(state: WorkflowState) -> Iterator[_Node]:
    """One after the other; those that ended one after the other and were executed side by side stand side by side."""
    before: list[str] = []
    rank: list[str] = []
    was_beside = False
    for name, step in state.steps.items():
        if name == ROOT:
            continue
        beside = noted(step, "beside") is True
        if not (beside and was_beside):
            before, rank = rank, []
        rank.append(name)
        was_beside = beside
        yield name, step.step_type, (), tuple(before)


def _flowchart(title: str, nodes: Iterable[_Node], states: Mapping[str, StepState] | None = None) -> str:
    nodes = list(nodes)
    number = {name: f"s{n}" for n, (name, *_) in enumerate(nodes)}
    lines = ["flowchart TD", f"    %% {_escaped(title)}"]
    for name, kind, details, _ in nodes:
        opening, closing = _MERMAID_SHAPES[kind]
        state = None if states is None else states.get(name)
        text = "<br/>".join(map(_escaped, [name, *details, *_progress(state)]))
        lines.append(f'    {number[name]}{opening}"{text}"{closing}')
    for name, _, _, follows in nodes:
        lines += (f"    {number[one]} --> {number[name]}" for one in follows if one in number)
    if states is not None:
        lines += _coloured({number[name]: _status(states.get(name)) for name in number})
    return "\n".join(lines) + "\n"


def _coloured(statuses: Mapping[str, StepStatus]) -> Iterator[str]:
    for status, style in _COLOURS.items():
        numbers = [number for number, one in statuses.items() if one is status]
        if numbers:
            yield f"    classDef {status.name.lower()} {style}"
            yield f"    class {','.join(numbers)} {status.name.lower()}"


def _status(state: StepState | None) -> StepStatus:
    return StepStatus.PENDING if state is None else state.status


def _progress(state: StepState | None) -> Iterator[str]:
    if state is None:
        return
    if state.tasks:
        done = sum(task.status in (StepStatus.COMPLETED, StepStatus.SKIPPED) for task in state.tasks)
        yield f"{done} of {len(state.tasks)} done"
    if state.attempt > 1:
        yield f"attempt {state.attempt}"


def _details(step: Step) -> list[str]:
    """What a reader wants to know of a step besides its name, by its kind."""
    if step.map is not None:
        over = step.map.over if isinstance(step.map.over, str) else "a function"
        return [f"for each of {over}, {step.map.concurrency} at a time"]
    if step.parallel is not None:
        return list(step.parallel)
    if step.pause is not None:
        until = step.pause.until
        return [f"{step.pause.seconds:g} s" if until is None else f"until {until.isoformat()}"]
    if step.signal is not None:
        limit = "" if step.signal.timeout is None else f", for {step.signal.timeout:g} s"
        return [f"signal {step.signal.signal}{limit}"]
    if isinstance(step.function, FunctionBody):
        return [f"function {step.function.name}"]
    if step.child is not None:
        return [f"workflow {_title(step.child.definition.name, step.child.definition.version)}"]
    return []


def _title(name: str, version: str | None) -> str:
    return name if version is None else f"{name} ({version})"


def _escaped(text: str) -> str:
    """Text inside a quoted label of Mermaid: whatever could end or format it becomes a character code."""
    return "".join(one if one.isalnum() or one in _PLAIN else f"#{ord(one)};" for one in text)


def _quoted(lines: Iterable[str]) -> str:
    """Lines as a quoted string of Graphviz."""
    shown = ("".join(one if one.isprintable() else f"U+{ord(one):04X}" for one in line) for line in lines)
    return '"' + "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in shown) + '"'

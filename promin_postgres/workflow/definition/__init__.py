"""What a workflow is and what follows from it. Pure: no connection, no clock, no thread."""

from promin_postgres.workflow.definition._context import Context, Fate
from promin_postgres.workflow.definition._drawing import Drawn, draw_run, to_dot, to_mermaid
from promin_postgres.workflow.definition._function import ROOT, FunctionBody, body_of, noted
from promin_postgres.workflow.definition._policies import (
    Compensation,
    Event,
    Fallback,
    Hook,
    Hooks,
    Idempotency,
    OnFailure,
    Undone,
    check_function,
)
from promin_postgres.workflow.definition._records import Definition
from promin_postgres.workflow.definition._rules import Progress, differences, specs
from promin_postgres.workflow.definition._steps import (
    Branch,
    Child,
    Conduct,
    Function,
    MapOver,
    Pause,
    SignalWait,
    Step,
    branch,
    child,
    map_over,
    parallel,
    pause,
    signal_wait,
)

__all__ = [
    "ROOT",
    "Branch",
    "Child",
    "Compensation",
    "Conduct",
    "Context",
    "Definition",
    "Drawn",
    "Event",
    "Fallback",
    "Fate",
    "Function",
    "FunctionBody",
    "Hook",
    "Hooks",
    "Idempotency",
    "MapOver",
    "OnFailure",
    "Pause",
    "Progress",
    "SignalWait",
    "Step",
    "Undone",
    "body_of",
    "branch",
    "check_function",
    "child",
    "differences",
    "draw_run",
    "map_over",
    "noted",
    "parallel",
    "pause",
    "signal_wait",
    "specs",
    "to_dot",
    "to_mermaid",
]

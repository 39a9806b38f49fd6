"""What a workflow is and what follows from it. Pure: no connection, no clock, no thread."""

from promin_postgres.workflow.definition._context import Context, Fate, Payload
from promin_postgres.workflow.definition._records import Definition, Step
from promin_postgres.workflow.definition._rules import Progress, differences, specs

__all__ = ["Context", "Definition", "Fate", "Payload", "Progress", "Step", "differences", "specs"]

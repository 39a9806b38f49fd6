"""What a trigger yields."""

from __future__ import annotations

from typing import Any, Literal

import attrs

from promin_postgres.errors import WorkflowSuspended

OnDuplicate = Literal["skip", "fail", "run"]
"""What a value comes to whose run was begun before and has ended, or is being driven elsewhere."""


@attrs.frozen(kw_only=True)
class WorkflowResult:
    """What became of one value of the stream.

    Attributes:
        value: What came, without its envelope.
        status: "suspended" when the run waits, for a moment or a signal: workers, or another `run`, go on with it.
        error: What the run failed with, waits for, or why it was not begun.
    """

    workflow_id: str
    value: Any
    status: Literal["completed", "failed", "skipped", "suspended"]
    result: Any = None
    error: Exception | None = None

    @classmethod
    def failed(cls, workflow_id: str, value: Any, error: Exception) -> WorkflowResult:
        status: Literal["failed", "suspended"] = "suspended" if isinstance(error, WorkflowSuspended) else "failed"
        return cls(workflow_id=workflow_id, value=value, status=status, error=error)

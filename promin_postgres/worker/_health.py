"""How a worker is."""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

from promin_postgres._error_record import ErrorRecord

State: TypeAlias = Literal["idle", "running", "stopping", "stopped", "failed"]


@attrs.frozen(kw_only=True)
class WorkerHealth:
    """How a worker is.

    Counts are those since the start. `failed` counts what failed for good, `retried` what is to be tried again,
    `released` what was given back, `lost` outcomes that were not recorded, because the lease was gone.

    Args:
        state: "idle" before the start; "failed" when the claiming ended with `last_error`.
        worker_id: What tasks are claimed as. Another one after the lease was lost.
        running: Tasks in the hands of handlers.
        ahead: Tasks that are claimed and wait for a free handler.
        last_error: The last one of a handler or of the connection.
        lease_expires_in: Seconds; None when there is no lease.
        connected: Whether the last statement went through.
    """

    state: State
    worker_id: str | None = None
    running: int = 0
    ahead: int = 0
    completed: int = 0
    failed: int = 0
    retried: int = 0
    released: int = 0
    lost: int = 0
    last_error: ErrorRecord | None = None
    lease_expires_in: float | None = None
    connected: bool = False

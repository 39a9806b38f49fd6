"""What a worker does for runs of workflows: loads what their steps need, executes them, settles them in batches."""

from promin_postgres.worker.engine._async import AsyncEngine
from promin_postgres.worker.engine._sync import Engine

__all__ = ["AsyncEngine", "Engine"]

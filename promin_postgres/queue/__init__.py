"""A typed message queue on plain tables."""

from promin_postgres.queue._async import AsyncPgQueue
from promin_postgres.queue._async_core import AsyncEnvelope
from promin_postgres.queue._records import AckMode, DeadMessage, QueueMetrics
from promin_postgres.queue._sync import PgQueue
from promin_postgres.queue._sync_core import Envelope

__all__ = ["AckMode", "AsyncEnvelope", "AsyncPgQueue", "DeadMessage", "Envelope", "PgQueue", "QueueMetrics"]

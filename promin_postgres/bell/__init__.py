"""The bell: LISTEN/NOTIFY as a wake-up, never as the record.

A NOTIFY takes a lock on commit across the whole database, so producers ring only when somebody waits. They know it by
the door of the channel, an advisory lock: an idle listener holds it exclusively; a producer tries to share it until
its transaction ends, and rings only when it cannot (sql/queue/publish.sql shows how).
"""

from promin_postgres.bell._async import AsyncEar, async_open_ear
from promin_postgres.bell._channel import channel_name, door_key, queue_channel, workflows_channel
from promin_postgres.bell._sync import Ear, open_ear

__all__ = [
    "AsyncEar",
    "Ear",
    "async_open_ear",
    "channel_name",
    "door_key",
    "open_ear",
    "queue_channel",
    "workflows_channel",
]

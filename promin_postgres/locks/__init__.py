"""Session advisory locks on a dedicated connection, and the thread that keeps rows with an end alive."""

from promin_postgres._advisory import advisory_key
from promin_postgres.locks._async import AsyncSessionLocks
from promin_postgres.locks._keeper import LeaseKeeper
from promin_postgres.locks._sync import SessionLocks

__all__ = ["AsyncSessionLocks", "LeaseKeeper", "SessionLocks", "advisory_key"]

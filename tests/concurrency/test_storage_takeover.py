"""Takeovers against writes in flight: whichever comes second waits for the other, and a late write is refused."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from _storage import contents, open_storage, query
from _twins import Twin
from _waiting import until

from promin_postgres.database import Database
from promin_postgres.errors import LeaseLost
from promin_postgres.workflow.storage import ErrorRecord, Lease
from promin_postgres.workflow.storage._statements import TAKE_LEASE

ERROR = ErrorRecord(error_type="E", message="")
WRITES = {
    "begin_run": lambda s, lease: s.begin_run("w", lease=lease),
    "replace_steps": lambda s, lease: s.replace_steps("w", [], version="2", lease=lease),
    "save_step": lambda s, lease: s.save_step_result("w", "a", 1, lease=lease),
    "save_task": lambda s, lease: s.save_task_result("w", "m", 0, 1, lease=lease),
    "suspend_workflow": lambda s, lease: s.suspend_workflow("w", "a", signal="go", lease=lease),
    "end_run": lambda s, lease: s.fail_workflow("w", ERROR, lease=lease),
}


@pytest.fixture
def storage(twin: Twin, twin_db: Any) -> Any:
    """With leases in rows, and a workflow "w"."""
    with open_storage(twin, twin_db, use_advisory_locks=False) as storage:
        storage.create_workflow("w", workflow_name="n")
        yield storage


def expire(dsn: str) -> None:
    query(dsn, "UPDATE wf_workflow_leases SET expires_at = now() - interval '1 s'")


def wait_for_a_waiter(dsn: str, statement: str, call: Future[Any]) -> None:
    """Return when a backend waits for a lock in this statement of ours."""
    waiters = """
        SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE %s
    """
    until(lambda: query(dsn, waiters, f"/* workflow/{statement} */%") or call.done())
    assert not call.done(), call.result()


def take_over(connection: psycopg.Connection[Any]) -> Lease:
    """What another process does to take the lease; the transaction stays open."""
    token = str(uuid4())
    params = {"workflow_id": "w", "token": token, "holder": "x", "key": 1, "duration": "1 h"}
    row = Database(connection).executor().fetch_one(TAKE_LEASE, params, connection=connection)
    assert row is not None
    assert row["taken"]
    return Lease(workflow_id="w", token=token, expires_at=row["expires_at"])


@pytest.mark.parametrize("commit", [True, False], ids=["committed", "rolled back"])
@pytest.mark.parametrize("statement", WRITES)
def test_a_write_that_waits_behind_a_takeover(storage: Any, promin_dsn: str, statement: str, commit: bool) -> None:
    lease = storage.try_lock("w")
    expire(promin_dsn)
    before = contents(promin_dsn)
    with ThreadPoolExecutor(1) as pool, psycopg.connect(promin_dsn) as connection:
        taken = take_over(connection)
        write = pool.submit(WRITES[statement], storage, lease)
        wait_for_a_waiter(promin_dsn, statement, write)
        if commit:
            connection.commit()
            with pytest.raises(LeaseLost):
                write.result()
            assert contents(promin_dsn) == before
            WRITES[statement](storage, taken)
        else:
            connection.rollback()
            write.result()
    assert contents(promin_dsn) != before


def test_a_fresh_run_that_waits_behind_a_takeover(storage: Any, promin_dsn: str) -> None:
    storage.complete_workflow("w")
    lease = storage.try_lock("w")
    expire(promin_dsn)
    with ThreadPoolExecutor(1) as pool, psycopg.connect(promin_dsn) as connection:
        take_over(connection)
        write = pool.submit(storage.start_fresh_run, "w", lease=lease)
        wait_for_a_waiter(promin_dsn, "start_fresh_run", write)
        connection.commit()
        with pytest.raises(LeaseLost):
            write.result()
    assert storage.load_workflow("w").run == 1


@pytest.mark.parametrize("commit", [True, False], ids=["committed", "rolled back"])
@pytest.mark.parametrize("statement", [name for name in WRITES if name != "replace_steps"])
def test_a_takeover_waits_for_a_write_in_flight(
    twin: Twin, twin_db: Any, storage: Any, promin_dsn: str, statement: str, commit: bool
) -> None:
    lease = storage.try_lock("w")
    before = contents(promin_dsn)
    connect = twin.pick(psycopg.Connection, psycopg.AsyncConnection).connect
    with (
        open_storage(twin, twin_db, use_advisory_locks=False) as other,
        ThreadPoolExecutor(1) as pool,
        connect(promin_dsn) as connection,
    ):
        WRITES[statement](_On(storage, connection), lease)
        expire(promin_dsn)
        takeover = pool.submit(other.try_lock, "w")
        wait_for_a_waiter(promin_dsn, "take_lease", takeover)
        if commit:
            connection.commit()
        else:
            connection.rollback()
        assert takeover.result() is not None
        assert (contents(promin_dsn) != before) is commit
        with pytest.raises(LeaseLost):
            storage.save_step_result("w", "later", 1, lease=lease)


class _On:
    """A storage that writes on one connection."""

    def __init__(self, storage: Any, connection: Any) -> None:
        self._storage, self._connection = storage, connection

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._storage, name)
        return lambda *args, **kwargs: method(*args, connection=self._connection, **kwargs)


def test_a_live_lease_is_refused_without_waiting_for_a_write_in_flight(
    twin: Twin, twin_db: Any, storage: Any, promin_dsn: str
) -> None:
    lease = storage.try_lock("w")
    connect = twin.pick(psycopg.Connection, psycopg.AsyncConnection).connect
    with open_storage(twin, twin_db, use_advisory_locks=False) as other, connect(promin_dsn) as connection:
        storage.save_step_result("w", "a", 1, lease=lease, connection=connection)
        assert other.try_lock("w") is None


def test_a_takeover_that_waited_finds_the_lease_renewed(
    twin: Twin, twin_db: Any, storage: Any, promin_dsn: str
) -> None:
    lease = storage.try_lock("w")
    connect = twin.pick(psycopg.Connection, psycopg.AsyncConnection).connect
    with (
        open_storage(twin, twin_db, use_advisory_locks=False) as other,
        ThreadPoolExecutor(1) as pool,
        connect(promin_dsn) as connection,
    ):
        storage.save_step_result("w", "a", 1, lease=lease, connection=connection)
        expire(promin_dsn)
        takeover = pool.submit(other.try_lock, "w")
        wait_for_a_waiter(promin_dsn, "take_lease", takeover)
        storage.heartbeat(lease)
        connection.commit()
        assert takeover.result() is None
    storage.save_step_result("w", "b", 1, lease=lease)

"""Leases, both twins and both modes: one holder, who notices a loss, and whose late writes are refused."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from _storage import contents, open_storage, query
from _twins import Twin
from _waiting import until

from promin_postgres.errors import LeaseLost
from promin_postgres.workflow.storage import ErrorRecord

SHORT = 3
"""Seconds: longer than a slow machine stands still."""

LOCK_HOLDERS = """
SELECT pid FROM pg_locks
WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
WRITES = {
    "begin": lambda s, lease: s.begin_run("w", lease=lease),
    "replace": lambda s, lease: s.replace_steps("w", [], version="2", lease=lease),
    "result": lambda s, lease: s.save_step_result("w", "a", 1, lease=lease),
    "failure": lambda s, lease: s.save_step_failure("w", "a", ErrorRecord(error_type="E", message=""), lease=lease),
    "element": lambda s, lease: s.save_task_result("w", "m", 0, 1, lease=lease),
    "suspend": lambda s, lease: s.suspend_workflow("w", "a", until=1, lease=lease),
    "signal": lambda s, lease: s.suspend_workflow("w", "a", signal="go", lease=lease),
    "complete": lambda s, lease: s.complete_workflow("w", 1, lease=lease),
    "fail": lambda s, lease: s.fail_workflow("w", ErrorRecord(error_type="E", message=""), lease=lease),
}


@pytest.fixture(params=["advisory", "rows"])
def mode(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"use_advisory_locks": request.param == "advisory"}


@pytest.fixture
def storage(twin: Twin, twin_db: Any, mode: dict[str, Any]) -> Iterator[Any]:
    """With a workflow "w"."""
    with open_storage(twin, twin_db, **mode) as storage:
        storage.create_workflow("w", workflow_name="n")
        yield storage


@pytest.fixture
def other(twin: Twin, twin_db: Any, mode: dict[str, Any]) -> Iterator[Any]:
    with open_storage(twin, twin_db, **mode) as storage:
        yield storage


def break_connection(dsn: str) -> None:
    """Kill the connections that hold advisory locks, and wait until the locks are gone."""
    for (pid,) in query(dsn, LOCK_HOLDERS):
        query(dsn, "SELECT pg_terminate_backend(%s)", pid)
    until(lambda: not query(dsn, LOCK_HOLDERS))


def lose(dsn: str) -> None:
    """End every lease as its mode ends: the connection breaks, or the row runs out."""
    break_connection(dsn)
    query(dsn, "UPDATE wf_workflow_leases SET expires_at = now() - interval '1 s' WHERE expires_at IS NOT NULL")


def test_one_holder(storage: Any, other: Any, mode: dict[str, Any]) -> None:
    lease = storage.try_lock("w")
    assert lease.workflow_id == "w"
    assert (lease.expires_at is None) is mode["use_advisory_locks"]
    assert storage.holds(lease)
    assert storage.try_lock("w") is None, "twice in one process"
    assert other.try_lock("w") is None
    assert not other.holds(lease)
    storage.release_lock(lease)
    assert not storage.holds(lease)
    storage.release_lock(lease)
    second = other.try_lock("w")
    assert second.token != lease.token
    storage.release_lock(lease)
    assert other.holds(second), "a lease that is not held any more is not given back"
    assert storage.try_lock("w") is None


def test_leases_of_different_workflows_do_not_meet(storage: Any, other: Any) -> None:
    storage.create_workflow("v", workflow_name="n")
    mine, his = storage.try_lock("w"), other.try_lock("v")
    assert None not in (mine, his)
    with pytest.raises(LeaseLost):
        storage.save_step_result("v", "a", 1, lease=mine)
    storage.release_lock(mine)
    assert other.holds(his)


@pytest.mark.parametrize("shared", [True, False], ids=["one storage", "two storages"])
def test_exactly_one_of_many_at_once(storage: Any, other: Any, shared: bool) -> None:
    for number in range(10):
        storage.create_workflow(f"w{number}", workflow_name="n")
        start = threading.Barrier(8)

        def take(n: int, workflow_id: str = f"w{number}", start: threading.Barrier = start) -> Any:
            start.wait()
            return (storage if shared or n % 2 else other).try_lock(workflow_id)

        with ThreadPoolExecutor(8) as pool:
            assert sum(lease is not None for lease in pool.map(take, range(8))) == 1


def test_the_modes_respect_each_other(twin: Twin, twin_db: Any, storage: Any, mode: dict[str, Any]) -> None:
    with open_storage(twin, twin_db, use_advisory_locks=not mode["use_advisory_locks"]) as opposite:
        for one, another in ((storage, opposite), (opposite, storage)) * 2:
            lease = one.try_lock("w")
            assert lease is not None
            assert another.try_lock("w") is None
            one.save_step_result("w", "a", 1, lease=lease)
            one.release_lock(lease)


def test_of_both_modes_at_once_exactly_one_wins(twin: Twin, twin_db: Any, storage: Any, mode: dict[str, Any]) -> None:
    with open_storage(twin, twin_db, use_advisory_locks=not mode["use_advisory_locks"]) as opposite:
        for number in range(20):
            storage.create_workflow(f"w{number}", workflow_name="n")
            with ThreadPoolExecutor(2) as pool:
                taken = list(pool.map(lambda s, n=number: s.try_lock(f"w{n}"), (storage, opposite)))
            assert sum(lease is not None for lease in taken) == 1


@pytest.mark.parametrize("write", WRITES)
def test_a_write_under_the_lease_is_made_and_under_a_lost_one_refused(
    storage: Any, other: Any, promin_dsn: str, write: str
) -> None:
    lease = storage.try_lock("w")
    lose(promin_dsn)
    taken = other.try_lock("w")
    assert taken is not None
    before = contents(promin_dsn)
    with pytest.raises(LeaseLost, match="the lease on workflow 'w' was lost") as caught:
        WRITES[write](storage, lease)
    assert caught.value.subject == "workflow 'w'"
    assert contents(promin_dsn) == before
    WRITES[write](other, taken)
    assert contents(promin_dsn) != before


@pytest.mark.parametrize("write", WRITES)
def test_a_write_under_a_lease_that_was_given_back_is_refused(storage: Any, promin_dsn: str, write: str) -> None:
    lease = storage.try_lock("w")
    storage.release_lock(lease)
    before = contents(promin_dsn)
    with pytest.raises(LeaseLost):
        WRITES[write](storage, lease)
    assert contents(promin_dsn) == before


def test_a_fresh_run_belongs_to_whoever_began_it(storage: Any, other: Any) -> None:
    lease = storage.try_lock("w")
    storage.complete_workflow("w", lease=lease)
    assert storage.start_fresh_run("w", lease=lease) == 2
    storage.save_step_result("w", "a", 1, lease=lease)
    storage.complete_workflow("w", lease=lease)
    assert other.start_fresh_run("w") == 3
    with pytest.raises(LeaseLost):
        storage.save_step_result("w", "a", "of run 2", lease=lease)
    assert storage.load_workflow("w").steps == {}
    with pytest.raises(LeaseLost):
        storage.start_fresh_run("w", lease=lease)


def test_a_lost_lease_is_noticed_and_can_be_taken_again_by_the_same_storage(storage: Any, promin_dsn: str) -> None:
    first = storage.try_lock("w")
    lose(promin_dsn)
    second = storage.try_lock("w")
    assert second is not None
    assert storage.holds(second)
    with pytest.raises(LeaseLost):
        storage.save_step_result("w", "a", 1, lease=first)
    storage.release_lock(first)
    assert storage.holds(second), "the lease that was lost is given back, the new one is not"
    storage.save_step_result("w", "a", 1, lease=second)
    assert storage.heartbeat(second).token == second.token


def test_a_heartbeat_renews_or_says_that_the_lease_is_lost(
    storage: Any, other: Any, promin_dsn: str, mode: dict[str, Any]
) -> None:
    lease = storage.try_lock("w")
    renewed = storage.heartbeat(lease)
    assert renewed.token == lease.token
    if not mode["use_advisory_locks"]:
        assert renewed.expires_at > lease.expires_at
    lose(promin_dsn)
    taken = other.try_lock("w")
    with pytest.raises(LeaseLost):
        storage.heartbeat(lease)
    assert other.heartbeat(taken).token == taken.token
    other.release_lock(taken)
    with pytest.raises(LeaseLost):
        other.heartbeat(taken)


def test_closing_gives_every_lease_back(twin: Twin, twin_db: Any, storage: Any, mode: dict[str, Any]) -> None:
    with open_storage(twin, twin_db, **mode) as closing:
        lease = closing.try_lock("w")
    assert not closing.holds(lease)
    assert storage.try_lock("w") is not None


def test_all_locks_are_on_one_connection_outside_the_pool(twin: Twin, twin_db: Any, promin_dsn: str) -> None:
    with open_storage(twin, twin_db) as storage:
        for number in range(5):
            storage.create_workflow(f"w{number}", workflow_name="n")
            assert storage.try_lock(f"w{number}") is not None
        assert len(query(promin_dsn, LOCK_HOLDERS)) == 5
        assert len(set(query(promin_dsn, LOCK_HOLDERS))) == 1
        break_connection(promin_dsn)
        assert storage.try_lock("w3") is not None
        assert len(query(promin_dsn, LOCK_HOLDERS)) == 1, "those that were lost with the connection stay lost"


def test_a_heartbeat_notices_a_broken_connection(
    twin: Twin, twin_db: Any, promin_dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    with open_storage(twin, twin_db) as storage:
        storage.create_workflow("w", workflow_name="n")
        lease = storage.try_lock("w")
        break_connection(promin_dsn)
        with caplog.at_level(logging.WARNING), pytest.raises(LeaseLost):
            storage.heartbeat(lease)
        assert not storage.holds(lease)
        assert "the connection that held 1 locks broke" in caplog.text


def test_rows_are_renewed_for_as_long_as_they_are_held(twin: Twin, twin_db: Any, promin_dsn: str) -> None:
    ends = "SELECT max(expires_at) FROM wf_workflow_leases"
    with open_storage(twin, twin_db, use_advisory_locks=False, lock_duration=SHORT) as storage:
        storage.create_workflow("w", workflow_name="n")
        lease = storage.try_lock("w")
        until(
            lambda: query(promin_dsn, "SELECT %s::timestamptz + interval '1 s' < now()", lease.expires_at) == [(True,)]
        )
        assert storage.holds(lease)
        assert query(promin_dsn, ends)[0][0] > lease.expires_at
        with open_storage(twin, twin_db, use_advisory_locks=False) as other:
            assert other.try_lock("w") is None
        storage.save_step_result("w", "a", 1, lease=lease)


def test_a_renewal_notices_that_the_row_was_taken(
    twin: Twin, twin_db: Any, promin_dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        open_storage(twin, twin_db, use_advisory_locks=False, lock_duration=SHORT) as storage,
        open_storage(twin, twin_db, use_advisory_locks=False) as other,
        caplog.at_level(logging.WARNING),
    ):
        storage.create_workflow("w", workflow_name="n")
        storage.create_workflow("kept", workflow_name="n")
        lease, kept = storage.try_lock("w"), storage.try_lock("kept")

        def stolen() -> Any:
            query(promin_dsn, "UPDATE wf_workflow_leases SET expires_at = now() WHERE token = %s", lease.token)
            return other.try_lock("w")

        until(stolen)
        until(lambda: not storage.holds(lease))
        until(lambda: "the lease on 'w' was lost" in caplog.text)
        assert storage.holds(kept)


def test_a_row_that_cannot_be_renewed_counts_as_lost(twin: Twin, twin_db: Any, promin_dsn: str) -> None:
    with open_storage(twin, twin_db, use_advisory_locks=False, lock_duration=1) as storage:
        storage.create_workflow("w", workflow_name="n")
        lease = storage.try_lock("w")
        with psycopg.connect(promin_dsn) as blocker:
            blocker.execute("LOCK TABLE wf_workflow_leases IN EXCLUSIVE MODE")
            until(lambda: not storage.holds(lease))
        until(lambda: storage.holds(lease))  # nobody took it meanwhile


def test_a_transaction_that_writes_under_the_lease_does_not_keep_it_from_being_renewed(
    twin: Twin, twin_db: Any, promin_dsn: str
) -> None:
    """A step may keep its transaction open for longer than the lease lasts."""
    connect = twin.pick(psycopg.Connection, psycopg.AsyncConnection).connect
    with open_storage(twin, twin_db, use_advisory_locks=False, lock_duration=SHORT) as storage:
        storage.create_workflow("w", workflow_name="n")
        lease = storage.try_lock("w")
        with connect(promin_dsn) as connection:
            storage.save_step_result("w", "a", 1, lease=lease, connection=connection)
            until(
                lambda: (
                    query(promin_dsn, "SELECT expires_at > %s FROM wf_workflow_leases", lease.expires_at) == [(True,)]
                )
            )
            with open_storage(twin, twin_db, use_advisory_locks=False) as other:
                assert other.try_lock("w") is None, "at once, without waiting for the transaction"
        assert storage.load_workflow("w").steps["a"].result == 1

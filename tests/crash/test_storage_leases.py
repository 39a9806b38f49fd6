"""kill -9 of a process that holds leases: advisory ones are free at once, rows when they run out."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from _storage import open_storage, query
from _twins import Twin
from _waiting import until

from promin_postgres.errors import LeaseLost

SPAWN = multiprocessing.get_context("spawn")


def _hold(kind: str, dsn: str, options: dict[str, Any], told: Any) -> None:
    twin = Twin(kind)
    storage = open_storage(twin, dsn, **options)
    lease = storage.try_lock("w")
    storage.save_step_result("w", "a", "of the dead", lease=lease)
    told.send(lease)
    told.recv()  # nobody says anything: here it dies


@contextmanager
def holder(kind: str, dsn: str, **options: Any) -> Iterator[tuple[Any, Any]]:
    """A process that holds the lease on "w", and that lease."""
    ours, theirs = SPAWN.Pipe()
    child = SPAWN.Process(target=_hold, args=(kind, dsn, options, theirs), daemon=True)
    child.start()
    try:
        assert ours.poll(60), "the child did not take the lease"
        yield child, ours.recv()
    finally:
        child.kill()
        child.join()
        child.close()
        ours.close()
        theirs.close()


@pytest.fixture
def storage(twin_storage: Any) -> Any:
    twin_storage.create_workflow("w", workflow_name="n")
    return twin_storage


def test_an_advisory_lease_is_free_at_once(twin: Twin, storage: Any, promin_dsn: str) -> None:
    with holder(twin.name, promin_dsn) as (child, dead):
        assert storage.try_lock("w") is None
        child.kill()
        child.join()
        lease = until(lambda: storage.try_lock("w"), timeout=5)
        with pytest.raises(LeaseLost):
            storage.save_step_result("w", "b", 1, lease=dead)
        storage.save_step_result("w", "b", 2, lease=lease)
    steps = storage.load_workflow("w").steps
    assert {name: step.result for name, step in steps.items()} == {"a": "of the dead", "b": 2}


def test_a_row_is_free_when_it_has_run_out(twin: Twin, storage: Any, promin_dsn: str) -> None:
    with (
        open_storage(twin, promin_dsn, use_advisory_locks=False) as survivor,
        holder(twin.name, promin_dsn, use_advisory_locks=False, lock_duration=2) as (child, dead),
    ):
        child.kill()
        child.join()
        [[end, plainly_alive]] = query(promin_dsn, "SELECT expires_at, expires_at > now() FROM wf_workflow_leases")
        assert plainly_alive
        assert survivor.try_lock("w") is None
        lease = until(lambda: survivor.try_lock("w"), timeout=10)
        assert query(promin_dsn, "SELECT acquired_at >= %s FROM wf_workflow_leases", end) == [(True,)]
        with pytest.raises(LeaseLost):
            storage.save_step_result("w", "b", 1, lease=dead)
        survivor.save_step_result("w", "b", 2, lease=lease)

"""Locks do not leak: not by a cancelled task, not through a fork, not from a keeper that meets an error."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Collection, Mapping

import psycopg
import pytest
from _storage import query
from _waiting import until

from promin_postgres.database import AsyncDatabase, Database
from promin_postgres.locks import AsyncSessionLocks, LeaseKeeper, SessionLocks
from promin_postgres.workflow.storage import AsyncPostgresWorkflowStorage, PostgresWorkflowStorage

WAITERS = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '/* workflow/take_lease */%'
"""


def test_a_task_that_is_cancelled_while_it_takes_a_lease_leaves_none(promin_dsn: str) -> None:
    async def cancelled() -> None:
        async with (
            AsyncDatabase.connect(promin_dsn) as db,
            await AsyncPostgresWorkflowStorage.create(db) as storage,
            await AsyncPostgresWorkflowStorage.create(db) as other,
        ):
            await storage.create_workflow("w", workflow_name="n")
            lease = await storage.try_lock("w")
            assert lease is not None
            async with await psycopg.AsyncConnection.connect(promin_dsn) as writer:
                await storage.save_step_result("w", "a", 1, lease=lease, connection=writer)
                await storage.close()  # its lock ends, its write is still in flight
                task = asyncio.create_task(other.try_lock("w"))
                await asyncio.to_thread(until, lambda: query(promin_dsn, WAITERS))
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert await storage.try_lock("w") is not None

    asyncio.run(cancelled())


def test_a_task_that_is_cancelled_at_any_moment_leaves_no_session_lock(promin_dsn: str) -> None:
    async def cancelled() -> None:
        async with AsyncDatabase.connect(promin_dsn) as db:
            mine, others = AsyncSessionLocks(db), AsyncSessionLocks(db)
            await mine.try_lock(0, owner="x")
            for key in range(1, 60):
                task = asyncio.create_task(mine.try_lock(key, owner="x"))
                for _ in range(key % 12):
                    await asyncio.sleep(0)
                task.cancel()
                [taken] = await asyncio.gather(task, return_exceptions=True)
                if taken is True:
                    await mine.unlock(key, owner="x")
                assert await others.try_lock(key, owner="y"), f"key {key}: {taken!r}"
            assert mine.holds(0, owner="x"), "the other locks of the session are untouched"
            await mine.close()
            await others.close()

    asyncio.run(cancelled())


def test_a_lock_is_its_owners(promin_db: Database) -> None:
    locks = SessionLocks(promin_db)
    assert locks.try_lock(1, owner="a")
    assert not locks.try_lock(1, owner="b")
    assert not locks.try_lock(1, owner="a")
    locks.unlock(1, owner="b")
    assert locks.holds(1, owner="a")
    assert locks.check(1, owner="a")
    assert not locks.holds(1, owner="b")
    locks.unlock(1, owner="a")
    assert not locks.check(1, owner="a")
    assert locks.try_lock(1, owner="b")
    locks.close()


CHILD = """
import os, sys, warnings
from promin_postgres.database import Database
from promin_postgres.workflow.storage import PostgresWorkflowStorage

dsn, rows = sys.argv[1], sys.argv[2] == "rows"
storage = PostgresWorkflowStorage.create(dsn, use_advisory_locks=not rows)
for workflow_id in "wv":
    storage.create_workflow(workflow_id, workflow_name="n")
mine = storage.try_lock("w")
child = os.fork()
if child == 0:
    try:
        assert not storage.holds(mine), "what the parent holds the child does not"
        assert storage.try_lock("w") is None
        lease = storage.try_lock("v")
        assert lease is not None and storage.holds(lease)
        storage.save_step_result("v", "a", 1, lease=lease)
        storage.close()
    except BaseException as error:
        print(repr(error), file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert storage.holds(mine)
storage.heartbeat(mine)
assert storage.try_lock("v") is not None, "the child gave it back"
storage.release_lock(mine)
storage.close()
"""


@pytest.mark.parametrize("mode", ["advisory", "rows"])
def test_a_fork_shares_neither_locks_nor_their_connection(promin_dsn: str, mode: str) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-W",
            "ignore::DeprecationWarning",
            "-c",
            textwrap.dedent(CHILD),
            promin_dsn,
            mode,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_locking_goes_on_while_the_connection_is_broken_again_and_again(promin_dsn: str) -> None:
    kill = """
        SELECT pg_terminate_backend(pid) FROM pg_locks
        WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    """
    with PostgresWorkflowStorage.create(promin_dsn) as storage:
        storage.create_workflow("w", workflow_name="n")
        stop = threading.Event()

        def break_things() -> None:
            while not stop.wait(0.02):
                query(promin_dsn, kill)

        killer = threading.Thread(target=break_things)
        killer.start()
        try:
            for number in range(60):
                lease = until(lambda: storage.try_lock("w"))
                storage.save_step_result("w", f"s{number}", number, lease=lease)
                storage.release_lock(lease)
        finally:
            stop.set()
            killer.join()
        assert len(storage.load_workflow("w").steps) == 60  # type: ignore[union-attr]


def test_a_keeper_goes_on_after_any_error(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[set[str]] = []

    def renew(leases: Mapping[str, str]) -> Collection[str]:
        calls.append(set(leases))
        if len(calls) == 1:
            raise RuntimeError("out of luck")
        return [token for token in leases if token != "gone"]

    closed = threading.Event()
    keeper = LeaseKeeper(renew, interval=0.01, duration=60, name="keeper", on_close=closed.set)
    with caplog.at_level(logging.WARNING):
        keeper.add("kept", "a", renewed=time.monotonic())
        keeper.add("gone", "b", renewed=time.monotonic())
        until(lambda: not keeper.holds("gone"))
    assert keeper.holds("kept")
    assert "could not renew" in caplog.text
    assert "out of luck" in caplog.text
    assert "the lease on 'b' was lost" in caplog.text
    assert keeper.close() == ["kept"]
    assert closed.is_set()
    assert not keeper.holds("kept")
    count = len(calls)
    keeper.add("again", "c", renewed=time.monotonic())
    until(lambda: len(calls) > count)
    keeper.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "keeper"]


def test_a_lease_that_could_not_be_renewed_in_time_is_not_held() -> None:
    keeper = LeaseKeeper(lambda leases: list(leases), interval=60, duration=5, name="keeper", on_close=lambda: None)
    keeper.add("old", "a", renewed=time.monotonic() - 5)
    keeper.add("new", "a", renewed=time.monotonic())
    assert (keeper.holds("old"), keeper.holds("new"), keeper.holds("other")) == (False, True, False)
    keeper.close()

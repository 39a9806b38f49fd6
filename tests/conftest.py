"""What all tests share. The servers and databases come from the plugin in promin_postgres.testing."""

from __future__ import annotations

import os
import signal
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from _durable import Body, as_function
from _runs import Runs
from _schedules import Clock
from _skips import pytest_sessionfinish, pytest_terminal_summary  # noqa: F401 - hooks
from _twins import Twin

from promin_postgres.database import AsyncDatabase, Database
from promin_postgres.scheduler import async_create_durable_scheduler, create_durable_scheduler
from promin_postgres.workflow import async_durable, async_workflow, durable, workflow
from promin_postgres.workflow.storage import AsyncPostgresWorkflowStorage, PostgresWorkflowStorage

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background of a shell; the processes that tests start and interrupt would be deaf as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)

BY_HAND = {"test_worker", "test_workers", "test_worker_processes"}
"""Files about the pair that is written twice by hand."""

NOT_IN_CI = (
    "tests/concurrency/test_workflow_scale.py",
    "tests/contract/test_pgmq_",
    "tests/contract/test_pytest_plugin.py",
    "tests/contract/test_queue_streams.py::test_a_cancelled_consumer",
    "tests/crash/test_pgmq_kill.py",
    "tests/crash/test_pgmq_notify.py",
    "tests/examples/test_demo.py",
    "tests/packaging/test_package.py::test_the_installed_package_has_its_sql[editable]",
    "tests/packaging/test_package.py::test_the_installed_package_has_its_sql[wheel]",
)
"""CI, which has ten minutes, installs both ways, runs the demo, and uses the plugin; the rest takes longest."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of a file of long tests that says which twin the suite runs (SUITE_RUNS), the other one belongs to the soak.

    CI runs the async twin of all, the source that the other one is generated from; but both workers.
    """
    in_ci = bool(os.environ.get("CI"))
    for item in items:
        module = getattr(item, "module", None)
        wanted = getattr(module, "SUITE_RUNS", "async" if in_ci and item.path.stem not in BY_HAND else None)
        given = getattr(getattr(item, "callspec", None), "params", {})
        other_twin = wanted and any(given.get(name) not in (None, wanted) for name in ("twin", "fleet"))
        if other_twin or (in_ci and item.nodeid.startswith(NOT_IN_CI)):
            item.add_marker(pytest.mark.soak)
    # Each process gets a stretch of the list, and steals from others when it is done: files with long tests are spread
    # over all of it. The packages, which are made once for a file, come first: the end of a stretch is what is stolen.
    items.sort(key=lambda item: (item.path.parent.name != "packaging", zlib.crc32(item.path.name.encode())))


@pytest.fixture(params=["sync", "async"])
def twin(request: pytest.FixtureRequest) -> Iterator[Twin]:
    """Runs a test once with the sync objects and once with their async twins in sync form."""
    twin = Twin(request.param)
    try:
        yield twin
    finally:
        twin.close()


@pytest.fixture
def twin_db(twin: Twin, promin_dsn: str) -> Iterator[Any]:
    """The migrated database of this test, as a Database or as an AsyncDatabase in sync form."""
    with twin.pick(Database, AsyncDatabase).connect(promin_dsn) as db:
        yield db


@pytest.fixture
def twin_storage(twin: Twin, twin_db: Any) -> Iterator[Any]:
    """The workflow storage on the database of this test."""
    with twin.pick(PostgresWorkflowStorage, AsyncPostgresWorkflowStorage).create(twin_db) as storage:
        yield storage


@pytest.fixture
def new_workflow(twin: Twin, twin_storage: Any) -> Callable[..., Any]:
    """`workflow` or `async_workflow` on that storage: `new_workflow("w").step(...)`."""
    return partial(twin.pick(workflow, async_workflow), storage=twin_storage)


@pytest.fixture
def new_durable(twin: Twin, twin_storage: Any) -> Callable[..., Any]:
    """`durable` or `async_durable` on that storage, of a function in sync form: `new_durable("w", function)`."""

    def make(name: str, function: Body, **options: Any) -> Any:
        decorate = twin.pick(durable, async_durable)(name, **({"storage": twin_storage} | options))
        return decorate(as_function(twin, function))

    return make


@pytest.fixture
def clock() -> Clock:
    """The clock of the schedulers that `make_scheduler` makes: it stands at noon until it is set."""
    return Clock()


@pytest.fixture
def make_scheduler(twin: Twin, promin_dsn: str, clock: Clock) -> Iterator[Callable[..., Any]]:
    """Makes schedulers on the database of this test, on a clock of its own unless `clock=None` is given."""
    made = []

    def make(dsn: str = promin_dsn, **options: Any) -> Any:
        create = twin.pick(create_durable_scheduler, async_create_durable_scheduler)
        scheduler = create(dsn, **({"clock": clock} | options))
        made.append(scheduler)
        return scheduler

    yield make
    for scheduler in made:
        scheduler.close()


@pytest.fixture
def runs(twin: Twin, promin_dsn: str) -> Iterator[Runs]:
    """Workflows, and workers that drive their runs."""
    runs = Runs(twin, promin_dsn)
    try:
        yield runs
    finally:
        runs.close()

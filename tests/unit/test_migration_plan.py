"""What is pending, and what forbids it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from promin_postgres.errors import InvalidArgument, MigrationError
from promin_postgres.migrator._plan import check_target, make_plan
from promin_postgres.migrator._records import AppliedMigration, Migration


def file(version: int, **changes: object) -> Migration:
    values = {"name": "n", "checksum": f"c{version}", "statements": ("SELECT 1",), **changes}
    return Migration(version=version, **values)  # type: ignore[arg-type]


def row(version: int, *, ended: bool = True, checksum: str | None = None) -> AppliedMigration:
    return AppliedMigration(
        version=version,
        name="n",
        checksum=checksum or f"c{version}",
        applied_at=datetime.now(UTC) if ended else None,
        duration=timedelta(0) if ended else None,
    )


def versions(plan_of: tuple[Migration, ...]) -> list[int]:
    return [migration.version for migration in plan_of]


KNOWN = [file(1), file(2), file(3)]


def test_pending_is_what_has_no_row_up_to_the_target() -> None:
    assert versions(make_plan(KNOWN, []).pending) == [1, 2, 3]
    assert versions(make_plan(KNOWN, [row(1)]).pending) == [2, 3]
    assert versions(make_plan(KNOWN, [row(1)], target=2).pending) == [2]
    assert versions(make_plan(KNOWN, [row(1), row(2)], target=1).pending) == []
    make_plan(KNOWN, [row(1)]).check()


@pytest.mark.parametrize(
    ("applied", "version", "message"),
    [
        ([row(1), row(2, checksum="other")], 2, "migration 0002 .* changed after it was applied: restore the file"),
        ([row(1), row(2), row(3), row(4)], 4, "migration 0004 .* database is newer; upgrade"),
        ([row(1), row(2, ended=False)], 2, "migration 0002 .* half-applied.*delete its row"),
        ([row(1), row(3)], 2, "migration 0002 .* was not applied, though 0003 was"),
    ],
)
def test_problems_name_the_version_and_the_mend(applied: list[AppliedMigration], version: int, message: str) -> None:
    with pytest.raises(MigrationError, match=message) as caught:
        make_plan(KNOWN, applied).check()
    assert caught.value.version == version


def test_problems_are_reported_beyond_the_target_and_all_at_once() -> None:
    with pytest.raises(MigrationError) as caught:
        make_plan(KNOWN, [row(1, checksum="other"), row(2), row(3), row(9)], target=1).check()
    assert caught.value.version == 1
    assert "0001" in str(caught.value)
    assert "0009" in str(caught.value)


def test_a_restartable_migration_that_was_cut_short_is_pending_whatever_its_checksum() -> None:
    known = [file(1), file(2, transactional=False, restartable=True)]
    plan = make_plan(known, [row(1), row(2, ended=False, checksum="other")])
    plan.check()
    assert versions(plan.pending) == [2]


def test_a_target_must_be_a_version() -> None:
    check_target(KNOWN, None)
    check_target(KNOWN, 3)
    with pytest.raises(InvalidArgument, match="target=4"):
        check_target(KNOWN, 4)

# Generated from _async.py by tools/twins.py. Do not edit: edit that and generate again.
"""Fill lookup tables, and compare them with the code."""

from __future__ import annotations

from collections.abc import Sequence

from promin_postgres._statement import SqlNames
from promin_postgres.database import Database, DatabaseSource, Executor
from promin_postgres.errors import InvalidArgument, LookupMismatch
from promin_postgres.lookups import _statements as statements
from promin_postgres.lookups._compare import Stored, conflicts, differences, needs_seeding
from promin_postgres.lookups._names import names_of, names_of_all, table_of
from promin_postgres.lookups._records import BUILTIN_LOOKUPS, Lookup


def seed_lookups(
    db: DatabaseSource, *lookups: Lookup, schema: str | None = None, table_prefix: str | None = None
) -> None:
    """Add the rows that are missing, and the tables of lookups of your own. Safe when many do so at once.

    Two round trips when nothing is missing. Rows that differ from the code are never changed, and nothing is written
    when there are any. Rows that the code does not know are left alone: newer code may need them.

    Args:
        lookups: Those made by `define_lookup`; the built-in ones when none is given.
        schema: Where the tables are. None: that of `db` ("public").
        table_prefix: How the names of the tables begin. None: that of `db` ("wf_").

    Raises:
        LookupMismatch: A number or a name is taken, or a built-in table is missing (run `migrate` first); holds all
            differences of all lookups.
    """
    wanted = _checked(lookups)
    with Database.borrow(db) as database:
        names = database.executor(schema=schema, table_prefix=table_prefix).names
        stored = _read(database, names, wanted)
        problems = conflicts(wanted, stored)
        todo = needs_seeding(wanted, stored)
        if todo and not problems:
            _seed(database, names, todo, stored)
            # Somebody else may have taken a number in the meantime.
            problems = conflicts(wanted, _read(database, names, wanted))
    if problems:
        raise LookupMismatch(problems)


def validate_lookups(
    db: DatabaseSource, *lookups: Lookup, schema: str | None = None, table_prefix: str | None = None
) -> None:
    """Check that lookup tables hold what the code says, and nothing else. Writes nothing.

    Args:
        lookups: Those made by `define_lookup`; the built-in ones when none is given.
        schema: Where the tables are. None: that of `db` ("public").
        table_prefix: How the names of the tables begin. None: that of `db` ("wf_").

    Raises:
        LookupMismatch: A table or a row is missing, a number has another name, a name another number, or the code does
            not know a row; holds all differences of all lookups.
    """
    wanted = _checked(lookups)
    with Database.borrow(db) as database:
        names = database.executor(schema=schema, table_prefix=table_prefix).names
        stored = _read(database, names, wanted)
    problems = differences(wanted, stored)
    if problems:
        raise LookupMismatch(problems)


def _checked(lookups: Sequence[Lookup]) -> Sequence[Lookup]:
    names = set()
    for lookup in lookups:
        if not isinstance(lookup, Lookup):
            raise InvalidArgument("lookups", lookup, "must be made by define_lookup")
        if lookup.name in names:
            raise InvalidArgument("lookups", lookup.name, "is given twice")
        names.add(lookup.name)
    return lookups or BUILTIN_LOOKUPS


def _read(database: Database, names: SqlNames, lookups: Sequence[Lookup]) -> Stored:
    tables = {table_of(names, lookup): lookup for lookup in lookups}
    found = Executor(database, names).fetch_all(
        statements.FIND, {"schema": names.schema, "tables": list(tables)}
    )
    present = [tables[row["table_name"]] for row in found]
    stored: dict[str, dict[int, str] | None] = {lookup.name: None for lookup in lookups}
    if present:
        stored |= {lookup.name: {} for lookup in present}
        for row in Executor(database, names_of_all(names, present)).fetch_all(statements.READ):
            rows = stored[row["lookup"]]
            assert rows is not None
            rows[row["id"]] = row["name"]
    return stored


def _seed(database: Database, names: SqlNames, lookups: Sequence[Lookup], stored: Stored) -> None:
    with database.transaction() as connection:
        Executor(database, names).execute(statements.LOCK, {"schema": names.schema}, connection=connection)
        for lookup in lookups:
            executor = Executor(database, names_of(names, lookup))
            if stored[lookup.name] is None:
                executor.execute(statements.CREATE, connection=connection)
            entries = {"ids": list(lookup.entries.values()), "names": list(lookup.entries)}
            executor.execute(statements.SEED, entries, connection=connection)

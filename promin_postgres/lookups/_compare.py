"""How lookups in the code and in the database differ. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from promin_postgres.lookups._records import BUILTIN_LOOKUPS, Lookup

Stored = Mapping[str, Mapping[int, str] | None]
"""The rows of each lookup table, name by number; None where there is no such table."""


def conflicts(lookups: Sequence[Lookup], stored: Stored) -> list[str]:
    """What seeding cannot mend: a number or a name that is taken, a built-in table that is missing.

    Rows that the code does not know are none: newer code, deployed beside this, may have put them there.
    """
    return [line for lookup in lookups for line in _conflicts(lookup, stored[lookup.name])]


def differences(lookups: Sequence[Lookup], stored: Stored) -> list[str]:
    """Everything in which the database is not what the code says."""
    found = []
    for lookup in lookups:
        rows = stored[lookup.name]
        found += _conflicts(lookup, rows)
        if rows is None:
            if not is_builtin(lookup):
                found.append(f"{lookup.name}: the table is missing; seed_lookups creates it")
            continue
        found += [f"{lookup.name}: {name!r} ({number}) is missing" for name, number in missing(lookup, rows).items()]
        known = set(lookup.entries.values())
        found += [
            f"{lookup.name}: {name!r} ({number}) is not known to the code"
            for number, name in rows.items()
            if number not in known and name not in lookup.entries
        ]
    return found


def missing(lookup: Lookup, rows: Mapping[int, str]) -> dict[str, int]:
    """The entries whose name and number are both free."""
    names = set(rows.values())
    return {name: number for name, number in lookup.entries.items() if number not in rows and name not in names}


def needs_seeding(lookups: Sequence[Lookup], stored: Stored) -> list[Lookup]:
    """The lookups that lack their table or a row."""
    return [lookup for lookup in lookups if (rows := stored[lookup.name]) is None or missing(lookup, rows)]


def is_builtin(lookup: Lookup) -> bool:
    """Whether a migration creates its table."""
    return any(lookup is builtin for builtin in BUILTIN_LOOKUPS)


def _conflicts(lookup: Lookup, rows: Mapping[int, str] | None) -> list[str]:
    if rows is None:
        return [f"{lookup.name}: the table is missing; migrate creates it"] if is_builtin(lookup) else []
    numbers = {name: number for number, name in rows.items()}
    found = []
    for name, number in lookup.entries.items():
        if rows.get(number, name) != name:
            found.append(f"{lookup.name}: {number} is {rows[number]!r} in the database and {name!r} in the code")
        if numbers.get(name, number) != number:
            found.append(f"{lookup.name}: {name!r} is {numbers[name]} in the database and {number} in the code")
    return found

"""What the server does for a statement, as EXPLAIN tells it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

MODES = ["force_generic_plan", "force_custom_plan"]


def explain(connection: psycopg.Connection[Any], query: str, params: dict[str, Any], mode: str) -> dict[str, Any]:
    """The plan that PREPARE and EXECUTE lead to, with what it did; nothing stays written."""
    with connection.transaction(force_rollback=True), prepared(connection, query, params) as execute:
        connection.execute(sql.SQL("SET LOCAL plan_cache_mode = {}").format(sql.Identifier(mode)))
        row = connection.execute(sql.SQL("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {}").format(execute)).fetchone()
    assert row is not None
    plan: dict[str, Any] = row[0][0]["Plan"]
    return plan


def is_planned_once(connection: psycopg.Connection[Any], query: str, params: dict[str, Any]) -> bool:
    """Whether the server settles for a plan that suits any values: one that looks dearer to it than plans for these
    values makes it plan the statement at each execution."""
    with prepared(connection, query, params) as execute:
        for _ in range(6):
            with connection.transaction(force_rollback=True):
                connection.execute(execute)
        row = connection.execute("SELECT generic_plans FROM pg_prepared_statements WHERE name = 'hot'").fetchone()
    assert row is not None
    return bool(row[0])


@contextmanager
def prepared(connection: psycopg.Connection[Any], query: str, params: dict[str, Any]) -> Iterator[sql.Composed]:
    """A statement that the server prepared; gives the EXECUTE that sends it."""
    order = list(dict.fromkeys(re.findall(r"%\((\w+)\)[sb]", query)))
    assert set(order) == params.keys()
    numbered = re.sub(r"%\((\w+)\)[sb]", lambda m: f"${order.index(m[1]) + 1}", query)
    connection.execute(f"PREPARE hot AS {numbered}".encode())
    try:
        arguments = sql.SQL(", ").join(sql.Literal(params[name]) for name in order)
        yield sql.SQL("EXECUTE hot({})" if order else "EXECUTE hot").format(arguments)
    finally:
        connection.execute("DEALLOCATE hot")


def for_one(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a case that is about a hundred, for one of them."""
    one = {
        name: value[:1] if isinstance(value, list) and len(value) == 100 else value for name, value in params.items()
    }
    return one | ({"limit": 1} if "limit" in params else {})


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def touched(node: dict[str, Any]) -> int:
    """Rows that a node gave, and those that it looked at in vain, over all its loops."""
    rows = node["Actual Rows"] + sum(node[key] for key in node if key.startswith("Rows Removed"))
    return int(rows * node["Actual Loops"])


def sequential(plan: dict[str, Any]) -> list[str]:
    """The tables that were read from end to end."""
    return [n["Relation Name"] for n in nodes(plan) if n["Node Type"] == "Seq Scan" and n["Actual Loops"]]

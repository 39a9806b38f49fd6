"""What the server does for a statement, as EXPLAIN tells it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import sql

MODES = ["force_generic_plan", "force_custom_plan"]


def explain(connection: psycopg.Connection[Any], query: str, params: dict[str, Any], mode: str) -> dict[str, Any]:
    """The plan that PREPARE and EXECUTE lead to, with what it did; nothing stays written."""
    order = list(dict.fromkeys(re.findall(r"%\((\w+)\)[sb]", query)))
    assert set(order) == params.keys()
    numbered = re.sub(r"%\((\w+)\)[sb]", lambda m: f"${order.index(m[1]) + 1}", query)
    with connection.transaction(force_rollback=True):
        connection.execute(sql.SQL("SET LOCAL plan_cache_mode = {}").format(sql.Identifier(mode)))
        connection.execute(f"PREPARE hot AS {numbered}".encode())
        try:
            arguments = sql.SQL(", ").join(sql.Literal(params[name]) for name in order)
            execute = sql.SQL("EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE hot({})").format(arguments)
            row = connection.execute(execute).fetchone()
        finally:
            connection.execute("DEALLOCATE hot")
    assert row is not None
    plan: dict[str, Any] = row[0][0]["Plan"]
    return plan


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

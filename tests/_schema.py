"""The schema of a database as text.

python tests/_schema.py CONNINFO    write tests/schema.sql, by migrating a schema of that database made for it
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psycopg

from promin_postgres.migrator import migrate
from promin_postgres.testing import postgres_server

HERE = Path(__file__).parent
DUMP = HERE / "schema.sql"
HEADER = "-- What the migrations make. Written by tests/_schema.py, compared by tests/statements/test_schema.py.\n"


def describe(connection: psycopg.Connection[Any], schema: str = "public", table_prefix: str = "wf_") -> str:
    """Our tables, as if they were in the current schema and their prefix were wf_."""
    query = (HERE / "statements" / "describe_schema.sql").read_text()
    rows = connection.execute(query.encode(), {"schema": schema, "prefix": table_prefix}).fetchall()
    text = "\n".join(definition for (definition,) in rows)
    return HEADER + re.sub(rf"\b{table_prefix}", "wf_", text) + "\n"


if __name__ == "__main__":
    with postgres_server() as server:
        name = server.new_name()
        with psycopg.connect(server.create_database(name), autocommit=True) as connection:
            migrate(connection)
            DUMP.write_text(describe(connection))
        server.drop_database(name)

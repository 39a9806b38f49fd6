"""SQL files: found by name, rendered once, sent as bytes.

A statement is named after its file: `Statement("workflow/load_steps")` is `sql/workflow/load_steps.sql`. The comment
that opens a file becomes `/* workflow/load_steps */`, so that pg_stat_statements and pg_stat_activity speak our names.

A file holds two kinds of blanks. Values are psycopg parameters, `%(name)s`. Identifiers are tokens in braces, which are
replaced by text that is quoted already: `{prefix}` by `"schema".wf_`, `{bare}` by `wf_`, `{schema}` by `"schema"`, and
whatever else `SqlNames.extra` brings. What several statements share stands in a file of its own, and
`{{steps/parts/open}}` in theirs is replaced by it. Rendering is plain replacement and not `psycopg.sql`: a literal
`'{}'::jsonb` is fine in our files, and composing at every call costs fifty times a look-up in a dictionary.

In what is sent often, a value that the planner counts rows by stands in a subquery: `LIMIT (SELECT %(limit)s::bigint)`,
`= ANY ((SELECT %(ids)b::bigint[])::bigint[])`. Where it sees that one row is asked for, a plan for that value looks
cheaper than one for any values, and the server makes one at each execution, which takes longer than carrying it out.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from copy import copy
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from psycopg import sql

from promin_postgres.errors import ConfigurationError, InvalidArgument, shown

_PREFIX = re.compile(r"[a-z_][a-z0-9_]{0,30}")
_TOKEN = re.compile(r"\{([a-z_]+)\}")
_PART = re.compile(r"\{\{([a-z_/]+)\}\}")
_INDENT = re.compile(r"\n +")
_PARAMETER = re.compile(r"%(?:%|\((\w+)\)[sbt])")
_MAX_IDENTIFIER = 63


def sql_root() -> Traversable:
    """The folder of the SQL files: inside an installed package, beside it in a checkout."""
    installed = files("promin_postgres") / "sql"
    return installed if installed.is_dir() else Path(__file__).resolve().parent.parent / "sql"


@cache
def read_sql(name: str) -> tuple[str, str]:
    """The opening comment (without its dashes) and the body of `sql/<name>.sql`."""
    text = (sql_root() / f"{name}.sql").read_text(encoding="utf-8")
    lines = text.splitlines()
    start = next((n for n, line in enumerate(lines) if line.strip() and not line.startswith("--")), len(lines))
    comment = "\n".join(line.removeprefix("--").strip() for line in lines[:start])
    return comment.strip(), _PART.sub(_part, "\n".join(lines[start:]).strip())


def _part(match: re.Match[str]) -> str:
    """A file that several statements share, in the place of its name, as far to the right as that line begins."""
    line = match.string[match.string.rfind("\n", 0, match.start()) + 1 :]
    return read_sql(match[1])[1].replace("\n", "\n" + " " * (len(line) - len(line.lstrip())))


class Statement:
    """One SQL file.

    `idempotent` promises that running it twice does what running it once does, so that it may be sent again when the
    connection breaks and nobody can tell whether the first one arrived. `prepare` False has it planned at each
    execution; None leaves that to psycopg. `ages` has it planned anew each second: a plan that suited a table when it
    was empty reads the whole of it when it is full, and planning costs as much as running where the work is small.
    """

    __slots__ = ("_parameters", "ages", "idempotent", "lasts", "name", "prepare")

    def __init__(self, name: str, *, idempotent: bool = False, prepare: bool | None = None, ages: bool = False) -> None:
        self.name = name
        self.idempotent = idempotent
        self.prepare = prepare
        self.ages = ages
        self.lasts = 1
        """Seconds until it is planned anew, if it ages."""
        self._parameters: frozenset[str] | None = None

    @property
    def parameters(self) -> frozenset[str]:
        """The names of its parameters, read off the file."""
        if self._parameters is None:
            found = _PARAMETER.finditer(read_sql(self.name)[1])
            self._parameters = frozenset(match[1] for match in found if match[1] is not None)
        return self._parameters

    def calm(self) -> Statement:
        """The same, planned anew each half minute only."""
        made = copy(self)
        made.lasts = 30
        return made

    def __repr__(self) -> str:
        return f"Statement({self.name!r})"


class SqlNames:
    """The identifiers that statements are rendered with, and what was rendered so far."""

    __slots__ = ("_of_age", "_rendered", "_tokens", "extra", "schema", "table_prefix")

    def __init__(
        self, schema: str = "public", table_prefix: str = "wf_", extra: Mapping[str, sql.Composable] | None = None
    ) -> None:
        self.schema = check_identifier("schema", schema)
        self.table_prefix = check_prefix("table_prefix", table_prefix)
        self.extra = dict(extra or {})
        quoted = sql.Identifier(schema).as_string(None)
        self._tokens = {
            "schema": quoted,
            "prefix": f"{quoted}.{table_prefix}",
            "bare": table_prefix,
            **{token: value.as_string(None) for token, value in self.extra.items()},
        }
        self._rendered: dict[str, bytes] = {}
        self._of_age: dict[Statement, tuple[int, bytes]] = {}

    def render(self, statement: Statement) -> bytes:
        """The text of a statement, ready for a cursor. Byte-stable, so that psycopg prepares it."""
        rendered = self._rendered.get(statement.name)
        if rendered is None:
            # A percent sign inside a quoted identifier must not be read as a parameter.
            body = self.fill(read_sql(statement.name)[1], double_percent=bool(statement.parameters))
            # psycopg parses a text of more than 4,096 characters at every execution.
            body = _INDENT.sub("\n", body)
            rendered = self._rendered[statement.name] = f"/* {statement.name} */\n{body}".encode()
        return self._aged(statement, rendered) if statement.ages else rendered

    def _aged(self, statement: Statement, rendered: bytes) -> bytes:
        """The text for now: psycopg prepares by the text, so that with another one the plan is another.

        For a second it is the same object, whose hash is known: it is looked up by it several times.
        """
        age = int(time.monotonic() / statement.lasts)
        known = self._of_age.get(statement)
        if known is None or known[0] != age:
            known = self._of_age[statement] = age, b"%b /* %d */" % (rendered, age)
        return known[1]

    def fill(self, text: str, *, double_percent: bool = False) -> str:
        """Replace the tokens of some SQL text."""

        def replace(match: re.Match[str]) -> str:
            value = self._tokens.get(match[1])
            if value is None:
                return match[0]
            return value.replace("%", "%%") if double_percent else value

        return _TOKEN.sub(replace, text)

    def __repr__(self) -> str:
        return f"SqlNames(schema={self.schema!r}, table_prefix={self.table_prefix!r})"


def check_identifier(argument: str, value: str) -> str:
    """Refuse what PostgreSQL would not take, or would silently cut, as an identifier."""
    if not isinstance(value, str) or not value:
        raise InvalidArgument(argument, value, "must be a non-empty string")
    if "\x00" in value:
        raise InvalidArgument(argument, value, "must not contain NUL")
    try:
        length = len(value.encode())
    except UnicodeEncodeError:
        raise InvalidArgument(argument, value, "must be valid Unicode") from None
    if length > _MAX_IDENTIFIER:
        raise InvalidArgument(argument, value, f"is {length} bytes long; PostgreSQL cuts names at {_MAX_IDENTIFIER}")
    return value


def check_prefix(argument: str, value: str) -> str:
    """Refuse a prefix that is not plainly an unquoted identifier."""
    if not isinstance(value, str) or not _PREFIX.fullmatch(value):
        raise ConfigurationError(f"{argument}={shown(value)}: must match [a-z_][a-z0-9_]{{0,30}}")
    return value

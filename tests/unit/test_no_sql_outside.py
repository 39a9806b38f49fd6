"""SQL lives in sql/ and nowhere else; its files are commented, upper case, explicit, and each belongs to a constant."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from _sources import MIGRATIONS, PACKAGE, PARTS, SQL, SQL_FILES, statements

from promin_postgres._statement import read_sql

# How statements begin. Words that also begin English sentences count only with what SQL has after them.
_BEGINS = re.compile(
    r"""\s* (?: --[^\n]*\n\s* | /\*.*?\*/\s* )* (?:
        (?i: select\b.*\bfrom\b | insert\s+into\b | update\s+\S+\s+set\b | delete\s+from\b | truncate\s+table\b
           | (create|alter|drop)\s+(or\s+replace\s+|unique\s+|temp\w*\s+)*
             (table|index|view|schema|database|extension|function|procedure|trigger|type|sequence|role|user|publication)\b
           | with\s+(recursive\s+)?\w+\s+as\s+(not\s+)?(materialized\s+)?\( | (un)?listen\s+["{*] | notify\s+["{]
           | lock\s+table\b | (set|reset|show)\s+(local|session|transaction)\b | start\s+transaction\b
           | (rollback\s+to|release)\s+savepoint\b | explain\s+[(a-z] )
        | SELECT | VALUES\s*\( | (LISTEN|UNLISTEN|NOTIFY|SAVEPOINT|SET|RESET|SHOW|COPY|CALL|DO|VACUUM|ANALYZE|GRANT)\s
        | (BEGIN|COMMIT|ROLLBACK|ABORT|DISCARD\s+ALL)\b
    )""",
    re.VERBOSE | re.DOTALL,
)

ALLOWED = {
    "BEGIN;": "opens the script that people apply by hand",
    "COMMIT;": "closes it",
}
"""Text -> why it must stand in the code."""


def sql_strings(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of the string constants that look like statements; parts of f-strings too, docstrings not."""
    tree = ast.parse(source)
    words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node not in words and isinstance(node.value, str | bytes):
            text = node.value if isinstance(node.value, str) else node.value.decode(errors="replace")
            if _BEGINS.match(text):
                yield node.lineno, text


def test_no_statement_stands_in_the_code() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{line}: {text}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for line, text in sql_strings(path.read_text(encoding="utf-8"))
        if text not in ALLOWED
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        'x = "SELECT 1"',
        'x = b"SELECT 1"',
        'x = f"SELECT {a} FROM t"',
        'x = "  select a\\n from t"',
        "x = '''\n-- why\nINSERT INTO t (a) VALUES (1)'''",
        "x = '/* why */ UPDATE t SET a = 1'",
        "f('delete from t where a')",
        "f(a, b='CREATE TABLE t ()')",
        "x = 'create unique index i ON t (a)'",
        "x = 'WITH a AS (SELECT 1) SELECT a'",
        "x = sql.SQL('LISTEN {}').format(channel)",
        "x = 'BEGIN'",
        "x = 'SET LOCAL statement_timeout = 0'",
        "x = 'DROP DATABASE IF EXISTS {name}'",
        "x = ['ROLLBACK']",
    ],
)
def test_a_statement_in_the_code_is_found(source: str) -> None:
    assert len(list(sql_strings(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        '"""SELECT a FROM t is what this module does not say."""',
        'def f():\n    "INSERT INTO t"',
        'x = 1\n"""DELETE FROM t, about x."""',
        'x = "select a file"',
        'x = "Update the queue and set it right"',
        'x = "run CREATE EXTENSION pgmq first"',
        'x = "creates tables"',
        'x = "with a lease as usual"',
        'x = "begin_run"',
        'x = "workflow/load_steps"',
        'x = "do not enter"',
    ],
)
def test_plain_words_are_left_alone(source: str) -> None:
    assert list(sql_strings(source)) == []


def test_statements_are_made_in_the_rooms_for_them_only() -> None:
    elsewhere = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name != "_statements.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Statement"
    ]
    assert elsewhere == []


def test_every_file_is_one_constant_and_every_constant_a_file() -> None:
    constants = Counter(statement.name for statement in statements())
    assert [name for name, count in constants.items() if count > 1] == []
    assert sorted(constants) == sorted(set(SQL_FILES) - set(MIGRATIONS) - set(PARTS))


def test_every_part_is_in_several_statements() -> None:
    texts = [(SQL / f"{name}.sql").read_text(encoding="utf-8") for name in SQL_FILES]
    uses = {part: sum(text.count(f"{{{{{part}}}}}") for text in texts) for part in PARTS}
    assert [part for part, number in uses.items() if number < 2] == []


# Reserved words only: none of them can be the name of a column by mistake.
_LOWER = re.compile(
    r"\b(all|and|any|array|as|asc|between|by|case|cast|check|constraint|create|cross|default|delete|desc|distinct|do|else"
    r"|end|except|exists|fetch|for|foreign|from|full|group|having|in|inner|insert|intersect|into|is|join|lateral|left"
    r"|like|limit|not|null|offset|on|or|order|outer|primary|references|returning|right|select|set|table|then|to|union"
    r"|unique|update|using|values|when|where|with)\b"
)
_NOT_CODE = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"[^\"]*\"|\$(\w*)\$.*?\$\1\$|%\(\w+\)s|\{\w+\}", re.DOTALL)
_STAR = re.compile(r"\.\s*\*|(?:SELECT|RETURNING|DISTINCT|ALL|,)\s*\*")
_UNCAST = re.compile(r"%\((\w+)\)s(?!::)")


def faults(text: str) -> list[str]:
    """What the house does not want to see in an SQL file."""
    found = [] if re.match(r"-- \S", text) else ["does not open with a comment"]
    # Parameters go before quotes are looked at, as they hold none; what is left are words and operators.
    code = _NOT_CODE.sub(" ", text)
    found += [f"{word} is not upper case" for word in _LOWER.findall(code)]
    found += ["has a *"] if _STAR.search(code) else []
    body = re.sub(r"--[^\n]*", "", text)
    found += [f"%({name})s has no cast" for name in _UNCAST.findall(body)]
    return found


@pytest.mark.parametrize("name", SQL_FILES)
def test_a_file_is_written_as_the_house_wants(name: str) -> None:
    assert faults((SQL / f"{name}.sql").read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("name", [name for name in SQL_FILES if name not in MIGRATIONS])
def test_a_file_says_what_it_does_and_holds_one_statement(name: str) -> None:
    comment, body = read_sql(name)
    assert comment[0].isupper()
    assert body
    assert ";" not in _NOT_CODE.sub(" ", body)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("SELECT a FROM {prefix}t", "does not open with a comment"),
        ("--\nSELECT a FROM {prefix}t", "does not open with a comment"),
        ("-- Why.\nselect a FROM {prefix}t", "select is not upper case"),
        ("-- Why.\nSELECT * FROM {prefix}t", "has a *"),
        ("-- Why.\nSELECT t.* FROM {prefix}t AS t", "has a *"),
        ("-- Why.\nDELETE FROM {prefix}t RETURNING *", "has a *"),
        ("-- Why.\nSELECT %(a)s", "%(a)s has no cast"),
    ],
)
def test_a_fault_in_a_file_is_found(text: str, fault: str) -> None:
    assert faults(text) == [fault]


def test_a_decent_file_is_left_alone() -> None:
    assert faults("-- Counts; select * is no matter here.\nSELECT count(*), 2 * 3, 'from', \"to\" FROM {prefix}t") == []


def test_the_folder_holds_nothing_else() -> None:
    assert [path for path in SQL.rglob("*") if path.is_file() and path.suffix != ".sql"] == []
    assert Path(SQL / "migrations").is_dir()

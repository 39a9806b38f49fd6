"""What the structural tests look at: the files of the package, its SQL files and its statements."""

import importlib
import pkgutil
from pathlib import Path

import promin_postgres
from promin_postgres._statement import Statement

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "promin_postgres"
SQL = ROOT / "sql"

SQL_FILES = sorted(path.relative_to(SQL).with_suffix("").as_posix() for path in SQL.rglob("*.sql"))
PARTS = [name for name in SQL_FILES if "/parts/" in name]
MIGRATIONS = [name for name in SQL_FILES if name.startswith("migrations/")]


def modules() -> list[str]:
    """The names of all modules of the package."""
    return [module.name for module in pkgutil.walk_packages(promin_postgres.__path__, "promin_postgres.")]


def statements() -> list[Statement]:
    """Every constant of every `_statements` module."""
    found = [importlib.import_module(name) for name in modules() if name.endswith("._statements")]
    return [value for module in found for value in vars(module).values() if isinstance(value, Statement)]

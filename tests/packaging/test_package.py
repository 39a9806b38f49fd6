"""What is built holds everything, and works where there is no checkout: as a wheel, from the sdist, and editable."""

import json
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest
from _sources import PACKAGE, ROOT, SQL, SQL_FILES

from promin_postgres.migrator import migration_sql

pytestmark = pytest.mark.timeout(300)  # environments are made, and packages fetched


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


def files_below(folder: Path) -> set[str]:
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in found if "__pycache__" not in path.parts}


def test_the_wheel_holds_the_package_its_sql_and_nothing_else(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    package = {f"promin_postgres/{name}" for name in files_below(PACKAGE)}
    assert names == package | {f"promin_postgres/sql/{name}.sql" for name in SQL_FILES}
    assert "promin_postgres/py.typed" in names


def test_the_sdist_holds_what_the_tests_need_as_well(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[0]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "noxfile.py", "tools/twins.py"} <= names
    assert {f"sql/{name}.sql" for name in SQL_FILES} <= names
    assert f"tests/packaging/{Path(__file__).name}" in names


@pytest.fixture(scope="module")
def metadata(built: tuple[Path, Path]) -> Message:
    with zipfile.ZipFile(built[1]) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(wheel.read(name).decode())


def test_the_metadata(metadata: Message) -> None:
    assert metadata["Name"] == "promin-postgres"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    assert set(metadata.get_all("Provides-Extra", [])) == {
        "bench", "binary", "embedded", "rrule", "speed", "tzdata", "testing", "dev",
    }  # fmt: skip
    required = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert sorted(line.partition(">")[0] for line in required) == ["attrs", "croniter", "psycopg", "psycopg-pool"]


REPORT = """
import json
from importlib.metadata import distribution
from pathlib import Path
import promin_postgres
from promin_postgres import _statement, migrator

root = _statement.sql_root()
def walk(folder, above=""):
    for item in folder.iterdir():
        yield from walk(item, f"{above}{item.name}/") if item.is_dir() else [(above + item.name, item.read_text())]

print(json.dumps({
    "package": str(Path(promin_postgres.__file__).parent),
    "sql": dict(walk(root)),
    "migration_sql": migrator.migration_sql(),
    "typed": (Path(promin_postgres.__file__).parent / "py.typed").exists(),
    "version": distribution("promin-postgres").version,
    "entry_points": sorted(f"{e.group}: {e.name}" for e in distribution("promin-postgres").entry_points),
}))
"""


@pytest.fixture(scope="module", params=["wheel", "sdist", "editable"])
def installed(
    request: pytest.FixtureRequest, built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """An environment that holds the package, and the folder where its code must be.

    The packages that it depends on are those of this environment, found by a path and not installed anew: so it needs
    no network. Editable installs are not found by a path, so that the checkout stays out.
    """
    sdist, wheel = built
    folder = tmp_path_factory.mktemp(request.param)
    environment = folder / "environment"
    run(sys.executable, "-m", "venv", environment, cwd=folder)
    python = environment / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    source = {"wheel": [wheel], "sdist": [sdist], "editable": ["-e", folder / sdist.name.removesuffix(".tar.gz")]}
    if request.param == "editable":
        with tarfile.open(sdist) as archive:
            archive.extractall(
                folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {})
            )  # not in 3.11.2
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check"]
    run(python, "-m", "pip", "install", *options, *source[request.param], cwd=folder)
    return python, source["editable"][1] if request.param == "editable" else site


def test_the_installed_package_has_its_sql(installed: tuple[Path, Path], tmp_path: Path) -> None:
    python, home = installed
    report: dict[str, Any] = json.loads(run(python, "-I", "-c", REPORT, cwd=tmp_path))
    assert Path(report["package"]) == home / "promin_postgres"
    assert report["sql"] == {f"{name}.sql": (SQL / f"{name}.sql").read_text() for name in SQL_FILES}
    assert report["migration_sql"] == migration_sql()
    assert report["typed"]
    assert report["entry_points"] == ["console_scripts: promin-postgres", "pytest11: promin_postgres"]


def test_the_installed_program_runs(installed: tuple[Path, Path], tmp_path: Path) -> None:
    script = installed[0].with_name("promin-postgres")
    assert "promin-postgres" in run(script, "--version", cwd=tmp_path)


def test_the_readme_and_ci_run_the_same_two_commands() -> None:
    commands = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line.startswith("python3 -m venv")]
    assert len(commands) == 2
    readme = (ROOT / "README.md").read_text().splitlines()
    assert [line.strip() for line in readme if line.strip().startswith("python3 -m venv")] == commands

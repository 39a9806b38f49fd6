"""Every sync file is exactly what its async source makes; the generator itself does what its rules say."""

import ast
from pathlib import Path

import pytest

from tools import twins

TWINS, UNUSED = twins.plan(twins.PACKAGE)


@pytest.mark.parametrize("path", TWINS, ids=lambda path: str(path.relative_to(twins.PACKAGE)))
def test_a_twin_is_exactly_what_its_source_makes(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == TWINS[path], "run: python tools/twins.py"


@pytest.mark.parametrize("path", TWINS, ids=lambda path: str(path.relative_to(twins.PACKAGE)))
def test_nothing_asynchronous_is_left_in_a_twin(path: Path) -> None:
    nodes = ast.walk(ast.parse(TWINS[path]))
    kinds = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await, ast.comprehension)
    left = [node for node in nodes if isinstance(node, kinds) and getattr(node, "is_async", 1)]
    assert left == []


def test_there_are_twins_none_without_source_and_no_idle_rule() -> None:
    assert len(TWINS) >= 1
    assert twins.orphans(twins.PACKAGE, TWINS) == []
    assert UNUSED == []


@pytest.mark.parametrize(
    ("source", "made"),
    [
        ("async def f(): ...", "def f(): ..."),
        ("async with a as b, c:", "with a as b, c:"),
        ("[x async for x in await f()]", "[x for x in f()]"),
        ("async def __aenter__(self)", "def __enter__(self)"),
        ("async def __aexit__(self)", "def __exit__(self)"),
        ("def __aiter__(self), __anext__()", "def __iter__(self), __next__()"),
        ("except StopAsyncIteration:", "except StopIteration:"),
        ("    @overload  # of the async twin\n    def f(a: int = ...) -> int: ...\n    def f", "    def f"),
        (
            "    @overload  # of the async twin\n    def f(\n        a\n    ) -> int: ...\n    @overload",
            "    @overload",
        ),
        ("@asynccontextmanager", "@contextmanager"),
        ("def f(a: AsyncX[AsyncY]) -> AsyncIterator[T]", "def f(a: X[Y]) -> Iterator[T]"),
        ("An AsyncQueue, or an AsyncQueue", "A Queue, or a Queue"),
        ("an `AsyncQueue`", "a `Queue`"),
        ("await async_sleep(1)", "sleep(1)"),
        ("from promin_postgres.queue._async import AsyncQueue", "from promin_postgres.queue._sync import Queue"),
        ("from . import _async_claims", "from . import _sync_claims"),
        ('patch("_async_claims")', 'patch("_sync_claims")'),
        ("is_async = my_async(asynchronous)", "is_async = my_async(asynchronous)"),
        ("import asyncio", "import asyncio"),
    ],
)
def test_the_rules(source: str, made: str) -> None:
    assert twins.generate(source, "_async.py")[0] == twins.HEADER.format(source="_async.py") + made


EVERY_RULE = '''\
"""An AsyncThing."""
from package._async_base import AsyncBase
@asynccontextmanager
async def f():
    await async_sleep(1)
async def __aenter__(self): ...
raise StopAsyncIteration
@overload  # of the async twin
def f(a): ...
'''


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package with one source that needs every rule, and its twin."""
    (tmp_path / "queue").mkdir()
    (tmp_path / "queue" / "_async.py").write_text(EVERY_RULE)
    assert twins.main([], tmp_path) == 1, "the twin was written"
    assert twins.main([], tmp_path) == 0
    return tmp_path


def test_a_fresh_twin_passes_the_check(package: Path) -> None:
    assert twins.main(["--check"], package) == 0


def test_an_edited_twin_fails_the_check_and_is_written_anew(package: Path, capsys) -> None:
    twin = package / "queue" / "_sync.py"
    made = twin.read_text()
    twin.write_text(made + "\n")
    assert twins.main(["--check"], package) == 1
    assert f"differs from its source: {Path('queue/_sync.py')}" in capsys.readouterr().out
    assert twin.read_text() == made + "\n", "checking writes nothing"
    assert twins.main([], package) == 1
    assert twin.read_text() == made


def test_a_missing_twin_fails_the_check(package: Path) -> None:
    (package / "queue" / "_sync.py").unlink()
    assert twins.main(["--check"], package) == 1
    assert not (package / "queue" / "_sync.py").exists()


def test_a_twin_without_source_fails(package: Path, capsys) -> None:
    (package / "queue" / "_sync_claims.py").write_text("")
    assert twins.main(["--check"], package) == 1
    assert f"has no source: {Path('queue/_sync_claims.py')}" in capsys.readouterr().out


def test_a_rule_that_changes_nothing_fails(package: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(twins, "RULES", [*twins.RULES, (r"\banext\b", "next")])
    assert twins.main(["--check"], package) == 1
    assert r"this rule changes nothing: \banext\b" in capsys.readouterr().out


def test_the_hand_written_pair_is_left_alone(package: Path) -> None:
    (package / "worker").mkdir()
    (package / "worker" / "_async.py").write_text("async def f(): ...\n")
    (package / "worker" / "_sync.py").write_text("def g(): ...\n")
    assert twins.main(["--check"], package) == 0


def test_an_unknown_argument_is_refused(package: Path) -> None:
    with pytest.raises(SystemExit, match="--check"):
        twins.main(["--chekc"], package)

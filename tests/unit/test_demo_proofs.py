"""What the demo proves, and that each proof fails when it has to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

from promin_postgres.cli.demo._conduct import Course
from promin_postgres.cli.demo._files import Measure, PlainLoop, measure, plain_loop, source_files
from promin_postgres.cli.demo._proof import Evidence, judge
from promin_postgres.cli.demo._report import report
from promin_postgres.errors import InvalidArgument

ONE, TWO = measure(b"one\n"), measure(b"two words")
PLAIN = PlainLoop(measures={"/1.py": ONE, "/2.py": TWO}, unreadable=frozenset({"/3.py"}))
COURSE = Course(killed=["worker-1"])
EVIDENCE = Evidence(
    records=[("/1.py", ONE), ("/2.py", TWO)],
    failed=["/3.py"],
    completed_runs=2,
    checkpoints=6,
    successes=6,
    resumed_steps=1,
    resumed_runs=1,
    executions=8,
    repeated=1,
    after_checkpoint=0,
    unobserved=0,
)
RECORDED, MEASURED, COMPLETE, KILLED, RESUMED, NOT_AGAIN = range(6)


def failures(evidence: Evidence = EVIDENCE, plain: PlainLoop = PLAIN, course: Course = COURSE) -> list[int]:
    return [number for number, proof in enumerate(judge(evidence, plain, course)) if proof.objections]


def test_all_holds() -> None:
    assert failures() == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"records": [("/1.py", ONE)]}, [RECORDED, MEASURED]),
        ({"records": [*EVIDENCE.records, ("/1.py", ONE)]}, [RECORDED, MEASURED]),
        ({"records": [*EVIDENCE.records, ("/3.py", measure(b""))]}, [RECORDED, MEASURED]),
        ({"records": [("/1.py", attrs.evolve(ONE, lines=2)), ("/2.py", TWO)]}, [MEASURED]),
        ({"records": [("/1.py", attrs.evolve(ONE, sha256="0")), ("/2.py", TWO)]}, [MEASURED]),
        ({"records": [("/1.py", TWO), ("/2.py", ONE)]}, [MEASURED]),
        ({"failed": ["/2.py", "/3.py"]}, [RECORDED]),
        ({"completed_runs": 1}, [COMPLETE]),
        ({"checkpoints": 5}, [COMPLETE]),
        ({"successes": 7}, [COMPLETE]),
        ({"resumed_steps": 0}, [RESUMED]),
        ({"after_checkpoint": 1}, [NOT_AGAIN]),
        ({"unobserved": 1}, [NOT_AGAIN]),
    ],
)
def test_each_proof_fails_when_it_has_to(change: dict[str, Any], expected: list[int]) -> None:
    assert failures(attrs.evolve(EVIDENCE, **change)) == expected


@pytest.mark.parametrize("course", [Course(), Course(killed=["worker-1"], broken={"worker-2": 1})])
def test_somebody_has_to_be_killed_and_nobody_may_break_down(course: Course) -> None:
    assert failures(course=course) == [KILLED]


def test_a_report_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = attrs.evolve(EVIDENCE, records=[], failed=[])
    many = PlainLoop(measures={f"/{number}.py": ONE for number in range(9)}, unreadable=frozenset())
    course = Course(broken={"worker-1": 1})
    report(nothing, many, 0.0, course, judge(nothing, many, course))
    printed = capsys.readouterr().out
    assert "          not recorded: /4.py\n          and 4 more\n" in printed
    assert "files/s                -               -" in printed


def test_measures_are_those_of_wc() -> None:
    found = measure(b"a b\r\n\xff\x00 c\nlast")
    assert (found.lines, found.words, found.bytes) == (2, 5, 14)
    assert measure(b"") == Measure(0, 0, 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")


def test_source_files_are_found_by_suffix_in_order(tmp_path: Path) -> None:
    for name in ("b.py", "A.RS", "c.txt", "py", ".py"):
        (tmp_path / name).touch()
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages" / "d.go").touch()
    (tmp_path / "folder.py").mkdir()
    found = [Path(path).relative_to(tmp_path).as_posix() for path in source_files(tmp_path)]
    assert found == ["A.RS", "b.py", "site-packages/d.go"]
    assert source_files(tmp_path / "b.py") == [str(tmp_path / "b.py")]


def test_the_standard_library_is_the_default() -> None:
    found = source_files(None)
    assert any(path.endswith("/json/decoder.py") for path in found)
    assert not any("site-packages" in path for path in found)


def test_where_there_is_nothing_to_do_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="holds no source files"):
        source_files(tmp_path)


def test_the_plain_loop_goes_on_after_a_file_it_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("one\n")
    gone = str(tmp_path / "gone.py")
    found = plain_loop([gone, str(tmp_path / "a.py")])
    assert found == PlainLoop(measures={str(tmp_path / "a.py"): ONE}, unreadable=frozenset({gone}))

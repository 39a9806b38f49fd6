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
    "orders_into_workflows.py": """\
order-1: completed packed a teapot
order-2: failed step 'pack' of workflow 'order-2' failed in attempt 1: LookupError: there are none
order-1: skipped workflow exists already: 'order-1'
0 messages are left
""",
    "retry_and_go_on.py": """\
fetching the rate, attempt 1
fetching the rate, attempt 2
fetching the rate, attempt 3
step 'transfer' of workflow 'payment-1' failed in attempt 1: RuntimeError: the bank is closed
transferred 125.00
""",
    "scheduled_reports.py": """\
tick 0 started report-0: report 0
tick 1 started report-1: report 1
tick 2 started report-2: report 2
""",
    "thumbnails.py": """\
resized a teapot
resized a cup, at attempt 2
a spoon: not uploaded yet
resized a spoon
done: 3, failed: 1 (no picture of a unicorn)
""",
    "wait_for_approval.py": """\
reserving a teapot
order 0 is running
charging 1900 cents for R-1
order 0: P-1
reserving a teapot
order 1 is running
charging 190000 cents for R-1
releasing R-1
order 1: not paid: too much
flowchart TD
    %% buy (1), run 1 of order-1: COMPLETED
    s0["reserve"]
    s1>"approval"]
    s2["charge"]
    s3["release"]
    s0 --> s1
    s1 --> s2
    s2 --> s3
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

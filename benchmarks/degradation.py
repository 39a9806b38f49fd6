"""What slows other queues down: a backlog, a history, and a held vacuum horizon.

    python -m benchmarks.degradation [--rounds 3] [--short] [--only backlog history horizon]

What `--only` leaves out keeps its last figures.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks._common import SETTINGS, earlier, interleave, lines, medians, ratio, report
from benchmarks._steps import BULK, Steps, held_horizon
from promin_postgres.testing import postgres_server

BATCH = 100
PARTS = ("backlog", "history", "horizon")


def backlog(steps: Steps, waiting: int, count: int) -> float:
    """With that many tasks more than are claimed; what a round took is added for the next one."""
    found = steps.raw.execute("SELECT count(*), max(id) FROM wf_step_queue").fetchone()
    assert found is not None
    if found[0] < waiting:
        steps.fill(waiting + count)
    else:
        steps.fill_more(waiting + count - found[0], first=found[1])
        steps.raw.execute("VACUUM ANALYZE wf_step_queue, wf_step_history, wf_step_batches")
    return steps.drain(count, BATCH)


def history(steps: Steps, finished: int, count: int) -> float:
    """With that many finished tasks, made once: a round adds few."""
    found = steps.raw.execute("SELECT COALESCE(sum(number), 0) FROM wf_step_batches").fetchone()
    if finished and found is not None and found[0] < finished:
        steps.raw.execute(
            "INSERT INTO wf_step_batches (number, span, queue, ids, tasks)"
            " SELECT count(*), int8range(min(-n), max(-n), '[]'), 'default', array_agg(-n), array_agg(ROW(-n, 1, 5, 1,"
            " 1, NULL, now(), now(), NULL, 'wf-' || n, 'step', NULL, NULL, NULL, NULL, NULL)::wf_completed_task)"
            " FROM generate_series(1, %s) AS n GROUP BY n / 100",
            [finished],
        )
    steps.fill(count, keep_history=finished > 0)
    return steps.drain(count, BATCH)


def horizon(steps: Steps, stretches: int) -> list[float]:
    """Rates of consecutive stretches of 10,000 tasks while another transaction holds the vacuum horizon."""
    steps.fill(BULK)
    with held_horizon(steps.dsn):
        rates = []
        for stretch in range(stretches):
            steps.fill_more(BULK, first=(stretch + 1) * BULK)
            rates.append(steps.drain(BULK, BATCH))
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--short", action="store_true", help="a tenth of the work, to see that it runs")
    options = parser.parse_args()
    asked = options.only
    scale = 10 if options.short else 1
    count = 20_000 // scale
    with postgres_server(durable=True, settings=SETTINGS) as server:
        version = str(server.version)
        steps = Steps(server.create_database())
        other = Steps(server.create_database())
        pairs: dict[str, dict[str, Callable[[], float]]] = {
            "backlog": {
                "1,000": partial(backlog, steps, 1_000, count),
                f"{1_000_000 // scale:,}": partial(backlog, other, 1_000_000 // scale, count),
            },
            "history": {
                "none": partial(history, steps, 0, count),
                f"{5_000_000 // scale:,}": partial(history, other, 5_000_000 // scale, count),
            },
        }
        figures: dict[str, Any] = {
            name: interleave(cases, options.rounds) for name, cases in pairs.items() if name in asked
        }
        if "horizon" in asked:
            figures["horizon"] = horizon(steps, 12)
        steps.close()
        other.close()
    figures = earlier("degradation", without=asked) | figures
    held = figures.get("horizon")
    goals = {"backlog": 0.9, "history": 0.95}
    rows = []
    for name in goals.keys() & figures.keys():
        (few, small), (many, large) = medians(figures[name]).items()
        shown = f"{ratio(figures[name][many], figures[name][few]):.2f} ({goals[name]})"
        rows.append((f"{name} of {many}", f"{large:,.0f}/s", f"{few}: {small:,.0f}/s", shown))
    if held:
        start, end = sum(held[:3]) / 3, sum(held[-3:]) / 3
        rows.append(
            ("horizon held, after 110,000", f"{end:,.0f}/s", f"at first {start:,.0f}/s", f"{end / start:.2f} (0.85)")
        )
        lines("degradation", "tasks so far, the horizon held", "tasks per second", BULK, {"step queue": held})
    report("degradation", version, rows, figures)


if __name__ == "__main__":
    main()

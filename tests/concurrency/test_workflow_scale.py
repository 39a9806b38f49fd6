"""Long runs take memory for what is under way, and not for what is finished."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from promin_postgres import Context

New = Callable[..., Any]
LARGE = pytest.param
MEGABYTE = 1024 * 1024


@contextmanager
def at_most(megabytes: float) -> Iterator[Callable[[], None]]:
    """Fails when more than that is allocated by Python beyond what was at the first call of what it gives."""
    tracemalloc.start(1)

    def mark() -> None:
        gc.collect()
        tracemalloc.reset_peak()
        marks.append(tracemalloc.get_traced_memory()[0])

    marks: list[int] = []
    try:
        yield mark
        grown = (tracemalloc.get_traced_memory()[1] - marks[0]) / MEGABYTE
    finally:
        tracemalloc.stop()
    assert grown < megabytes


@pytest.mark.parametrize(
    "size", [400, pytest.param(10_000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])], ids=["short", "soak"]
)
def test_results_that_nobody_needs_any_more_leave_memory(new_workflow: New, size: int) -> None:
    """Each result has 20 kB; a few megabytes are enough for any number of steps in a row, new or taken up."""
    flow = new_workflow("w").step("s0", lambda ctx: "x" * 20_000)

    def work(ctx: Context) -> str:
        if ctx.step_name == f"s{size // 2}" and ctx.attempt == 1:
            raise RuntimeError("halfway")
        assert len(ctx.prev) == 20_000
        if ctx.step_name in ("s10", f"s{size // 2}"):
            mark()
        return "x" * 20_000

    for number in range(1, size):
        flow = flow.step(f"s{number}", work)
    with at_most(2 + size * 0.0005) as mark, pytest.raises(Exception, match="halfway"):
        flow.run(workflow_id="w")
    with at_most(2 + size * 0.0005) as mark:
        assert len(flow.run(workflow_id="w")) == 20_000


@pytest.mark.parametrize(
    "size", [4_000, pytest.param(100_000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])], ids=["short", "soak"]
)
def test_elements_that_are_done_leave_memory(new_workflow: New, twin_storage: Any, size: int) -> None:
    """Each element has 2 kB; only a few hundred are in memory at a time, new or taken up."""
    broken = [1]

    def work(ctx: Context) -> int:
        number = int(ctx.item[:10])
        if number == 10:
            mark()
        if broken and number == size // 2:
            raise RuntimeError("halfway")
        return number

    flow = new_workflow("w").map_over(
        "m", work, over=lambda ctx: (f"{number:010}" + "x" * 2_000 for number in range(size)), concurrency=4
    )
    with at_most(8) as mark, pytest.raises(Exception, match="halfway"):
        flow.run(workflow_id="w")
    broken.clear()
    with at_most(8 + size * 0.0001) as mark:
        mark()
        assert flow.run(workflow_id="w") == list(range(size))

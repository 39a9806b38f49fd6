"""What the database says at the end, and whether it is what it has to be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Self

import attrs

from promin_postgres.cli import _statements as statements
from promin_postgres.cli.demo._conduct import Course
from promin_postgres.cli.demo._files import Measure, PlainLoop
from promin_postgres.database import Executor

STEPS = 3


@attrs.frozen(kw_only=True)
class Evidence:
    """What the database says."""

    records: Sequence[tuple[str, Measure]]
    failed: Sequence[str]
    completed_runs: int
    checkpoints: int
    successes: int
    resumed_steps: int
    resumed_runs: int
    executions: int
    repeated: int
    after_checkpoint: int
    unobserved: int


@attrs.frozen(kw_only=True)
class Totals:
    """The sums over many files."""

    files: int
    lines: int
    words: int
    bytes: int

    @classmethod
    def of(cls, measures: Iterable[Measure]) -> Self:
        measures = tuple(measures)
        return cls(
            files=len(measures),
            lines=sum(measure.lines for measure in measures),
            words=sum(measure.words for measure in measures),
            bytes=sum(measure.bytes for measure in measures),
        )


@attrs.frozen
class Proof:
    """One thing that has to be so, and what speaks against it; nothing when it is so."""

    claim: str
    objections: tuple[str, ...]


def gather(executor: Executor) -> Evidence:
    """Read the evidence."""
    numbers = executor.fetch_one(statements.GATHER_EVIDENCE)
    assert numbers is not None
    records = executor.fetch_all(statements.LOAD_RECORDS)
    return Evidence(
        records=[(record.pop("path"), Measure(**record)) for record in records],
        failed=[row["path"] for row in executor.fetch_all(statements.LOAD_FAILURES)],
        **numbers,
    )


def judge(evidence: Evidence, plain: PlainLoop, course: Course) -> list[Proof]:
    """Every proof of the demo, in the order in which they are shown."""
    files = len(plain.measures)
    return [
        Proof("every file is recorded exactly once", _differences(evidence, plain)),
        Proof("every record and the totals are those of the plain loop", _wrong_measures(evidence, plain)),
        Proof(
            "every run is complete, with one successful attempt a step",
            _unequal(
                ("complete runs", evidence.completed_runs, files),
                ("checkpoints", evidence.checkpoints, STEPS * files),
                ("successful attempts", evidence.successes, STEPS * files),
            ),
        ),
        Proof(
            "a worker was killed with -9 in the middle of a run, and no other broke down",
            (
                *(() if course.killed else ("none was: too few files to hit one between two steps",)),
                *(f"{name} ended with exit code {code}" for name, code in course.broken.items()),
            ),
        ),
        Proof(
            "its run was resumed from its checkpoints",
            () if evidence.resumed_steps else ("no step was resumed",),
        ),
        Proof(
            "no step was executed again after its checkpoint",
            _unequal(
                ("executions after a checkpoint", evidence.after_checkpoint, 0),
                ("checkpoints whose execution was not seen", evidence.unobserved, 0),
            ),
        ),
    ]


def _differences(evidence: Evidence, plain: PlainLoop) -> tuple[str, ...]:
    times = Counter(path for path, _ in evidence.records)
    return (
        *(f"not recorded: {path}" for path in sorted(plain.measures.keys() - times.keys())),
        *(
            f"recorded, though the plain loop could not read it: {path}"
            for path in sorted(times.keys() - plain.measures)
        ),
        *(f"recorded {count} times: {path}" for path, count in sorted(times.items()) if count > 1),
        *(f"its run failed: {path}" for path in sorted(set(evidence.failed) - plain.unreadable)),
    )


def _wrong_measures(evidence: Evidence, plain: PlainLoop) -> tuple[str, ...]:
    recorded = attrs.asdict(Totals.of(measure for _, measure in evidence.records))
    found = attrs.asdict(Totals.of(plain.measures.values()))
    return (
        *_unequal(*((name, recorded[name], found[name]) for name in found)),
        *(
            f"{path}: recorded {measure}, found {plain.measures[path]} (it may have changed meanwhile)"
            for path, measure in evidence.records
            if plain.measures.get(path, measure) != measure
        ),
    )


def _unequal(*counts: tuple[str, int, int]) -> tuple[str, ...]:
    return tuple(f"{what}: {found:,} and not {due:,}" for what, found, due in counts if found != due)

"""Prints the outcome."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import attrs

from promin_postgres.cli.demo._conduct import Course
from promin_postgres.cli.demo._files import PlainLoop
from promin_postgres.cli.demo._proof import Evidence, Proof, Totals

_SHOWN = 5


def report(evidence: Evidence, plain: PlainLoop, plain_seconds: float, course: Course, proofs: Sequence[Proof]) -> None:
    """Print totals, numbers and proofs."""
    durable = Totals.of(measure for _, measure in evidence.records)
    loop = Totals.of(plain.measures.values())
    print(f"\n{'':<8}{'durable':>16}{'plain loop':>16}")
    for name in attrs.fields_dict(Totals):
        print(f"{name:<8}{getattr(durable, name):>16,}{getattr(loop, name):>16,}")
    print(f"{'seconds':<8}{course.elapsed:>16.2f}{plain_seconds:>16.2f}")
    print(f"{'files/s':<8}{_rate(durable.files, course.elapsed):>16}{_rate(loop.files, plain_seconds):>16}")
    numbers = [
        (evidence.checkpoints, f"checkpoints, by {evidence.executions:,} executions"),
        (len(course.killed), "workers killed with -9"),
        (evidence.resumed_steps, f"steps resumed from a dead worker's checkpoints ({evidence.resumed_runs:,} runs)"),
        (evidence.repeated - evidence.after_checkpoint, "executed again because the kill came before their checkpoint"),
        (evidence.after_checkpoint, "executed twice after a checkpoint"),
    ]
    if plain.unreadable:
        numbers.append((len(plain.unreadable), f"files cannot be read, by neither: {_some(plain.unreadable)}"))
    print()
    for number, what in numbers:
        print(f"{number:>8,} {what}")
    print()
    for proof in proofs:
        print(f"{'FAILED' if proof.objections else 'OK':<8}{proof.claim}")
        for objection in proof.objections[:_SHOWN]:
            print(f"{'':<8}  {objection}")
        if len(proof.objections) > _SHOWN:
            print(f"{'':<8}  and {len(proof.objections) - _SHOWN:,} more")


def _rate(files: int, seconds: float) -> str:
    return f"{files / seconds:,.0f}" if seconds else "-"


def _some(paths: Collection[str]) -> str:
    return ", ".join(sorted(paths)[:_SHOWN]) + (", ..." if len(paths) > _SHOWN else "")

"""Graphs of names: who waits for whom, and who waits for himself."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence


def dependents_of(graph: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """For each name those that depend on it, in the order of `graph`. Unknown dependencies are left out."""
    dependents: dict[str, list[str]] = {name: [] for name in graph}
    for name, dependencies in graph.items():
        for dependency in dependencies:
            if dependency in dependents:
                dependents[dependency].append(name)
    return {name: tuple(names) for name, names in dependents.items()}


def cycles(graph: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    """Cycles of `graph`, each as the names on the way round, first and last the same.

    Cycles that share a name may be reported as one: breaking it shows the next.
    """
    dependents = dependents_of(graph)
    left = {name: sum(dependency in graph for dependency in graph[name]) for name in graph}
    _take_off(left, dependents, [name for name, count in left.items() if count == 0])
    found = []
    while left:
        cycle = _walk(graph, left)
        found.append(cycle)
        _take_off(left, dependents, cycle[1:])
    return found


def _take_off(left: dict[str, int], dependents: Mapping[str, Sequence[str]], names: Sequence[str]) -> None:
    """Remove names, and whatever waits for nothing any more after that."""
    free = deque(names)
    for name in names:
        del left[name]
    while free:
        for dependent in dependents[free.popleft()]:
            if dependent in left:
                left[dependent] -= 1
                if left[dependent] == 0:
                    del left[dependent]
                    free.append(dependent)


def _walk(graph: Mapping[str, Sequence[str]], left: Mapping[str, int]) -> tuple[str, ...]:
    """Follow dependencies until a name comes up again: everything left has one that is left too."""
    place: dict[str, int] = {}
    name = next(iter(left))
    while name not in place:
        place[name] = len(place)
        name = next(dependency for dependency in graph[name] if dependency in left)
    around = list(place)[place[name] :]
    return (*around, name)

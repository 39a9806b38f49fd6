"""The files that the demo works on, and what it measures of each. Pure."""

from __future__ import annotations

import hashlib
import os
import sysconfig
from collections.abc import Iterable, Mapping
from pathlib import Path

import attrs

from promin_postgres.errors import InvalidArgument

_SUFFIXES = frozenset(
    """
    .bash .c .cc .clj .cpp .cs .cxx .dart .el .erl .ex .exs .go .h .hh .hpp .hs .java .jl .js .jsx .kt .lua .m .ml .php
    .pl .pm .proto .ps1 .py .pyi .pyx .r .rb .rs .scala .sh .sql .swift .tcl .ts .tsx .vue .zig
    """.split()  # noqa: SIM905 - one a line would be a page
)
_NOT_STANDARD_LIBRARY = frozenset({"site-packages", "dist-packages"})


@attrs.frozen
class Measure:
    """What the demo records of a file."""

    lines: int
    words: int
    bytes: int
    sha256: str


@attrs.frozen(kw_only=True)
class PlainLoop:
    """What a plain loop found: the measures by path, and the files that it could not read."""

    measures: Mapping[str, Measure]
    unreadable: frozenset[str]


def source_files(path: Path | None) -> list[str]:
    """The source files below `path`, by suffix, in order; None: those of Python's standard library.

    Raises:
        InvalidArgument: There is no such path, or no source file below it.
    """
    root = Path(sysconfig.get_path("stdlib") if path is None else path).resolve()
    if not root.exists():
        raise InvalidArgument("PATH", str(root), "does not exist")
    found = sorted(_walk(root, skip=_NOT_STANDARD_LIBRARY if path is None else frozenset()))
    if not found:
        raise InvalidArgument("PATH", str(root), "holds no source files")
    return found


def _walk(root: Path, *, skip: frozenset[str]) -> Iterable[str]:
    if root.is_file():
        yield str(root)
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if name not in skip]
        for name in files:
            path = os.path.join(folder, name)
            # A pipe that is called x.py would be read for ever; a name that is not Unicode is no text for PostgreSQL.
            if os.path.splitext(name)[1].lower() in _SUFFIXES and os.path.isfile(path) and _is_unicode(path):
                yield path


def _is_unicode(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def measure(data: bytes) -> Measure:
    """Lines and words as `wc` counts them in the C locale: on bytes, so that no encoding has to be known."""
    return Measure(data.count(b"\n"), len(data.split()), len(data), hashlib.sha256(data).hexdigest())


def plain_loop(paths: Iterable[str]) -> PlainLoop:
    """The same work without any durability: what the outcome has to be."""
    measures: dict[str, Measure] = {}
    unreadable: set[str] = set()
    for path in paths:
        try:
            measures[path] = measure(Path(path).read_bytes())
        except OSError:
            unreadable.add(path)
    return PlainLoop(measures=measures, unreadable=frozenset(unreadable))

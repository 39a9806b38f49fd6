"""Make the sync twins from their async sources, or check that they are what would be made.

    python tools/twins.py            write every _sync*.py
    python tools/twins.py --check    write nothing

Exits with 1 when a twin had to be written, has no source, or a rule changed nothing. The rules are plain replacements
on whole words. What threads and tasks do differently is not a rule: it is written twice, in promin_postgres/_wait.py
and promin_postgres/worker/.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "promin_postgres"
HEADER = "# Generated from {source} by tools/twins.py. Do not edit: edit that and generate again.\n"

RULES: list[tuple[str, str | Callable[[re.Match[str]], str]]] = [
    (r"(?sm)^ *@overload  # of the async twin\n.*?: \.\.\.\n", ""),
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\b__a(enter|exit|iter|next)__\b", r"__\1__"),
    (r"\bStopAsyncIteration\b", "StopIteration"),
    (r"\basynccontextmanager\b", "contextmanager"),
    (r"\b(an|An) (`?Async[A-Z])", lambda m: ("a " if m[1] == "an" else "A ") + m[2]),
    (r"\bAsync([A-Z]\w*)", r"\1"),
    (r"\basync_(\w+)", r"\1"),
    (r"(?<=[. \"])_async(\w*)\b", r"_sync\1"),
]


def generate(text: str, source: str) -> tuple[str, set[str]]:
    """The sync text, and the patterns of the rules that changed something."""
    used = set()
    for pattern, replacement in RULES:
        text, count = re.subn(pattern, replacement, text)
        if count:
            used.add(pattern)
    return HEADER.format(source=source) + text, used


def plan(package: Path) -> tuple[dict[Path, str], list[str]]:
    """Every twin of a package with the text that it should have, and the patterns of the rules that nobody needs."""
    twins = {}
    unused = {pattern: None for pattern, _ in RULES}
    for source in sorted(package.rglob("_async*.py")):
        if source.parent.name == "worker":
            continue
        text, used = generate(source.read_text(encoding="utf-8"), source.name)
        twins[source.with_name(source.name.replace("_async", "_sync", 1))] = text
        for pattern in used:
            unused.pop(pattern, None)
    return twins, list(unused)


def orphans(package: Path, twins: dict[Path, str]) -> list[Path]:
    """Files that look generated, of a source that is not there any more."""
    found = sorted(package.rglob("_sync*.py"))
    return [path for path in found if path not in twins and path.parent.name != "worker"]


def main(arguments: list[str], package: Path = PACKAGE) -> int:
    if arguments not in ([], ["--check"]):
        sys.exit(__doc__)
    twins, unused = plan(package)
    complaints = [f"this rule changes nothing: {pattern}" for pattern in unused]
    complaints += [f"has no source: {path.relative_to(package)}" for path in orphans(package, twins)]
    for path, text in twins.items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if arguments:
            complaints.append(f"differs from its source: {path.relative_to(package)}")
        else:
            path.write_text(text, encoding="utf-8")
            complaints.append(f"written: {path.relative_to(package)}")
    print("\n".join(complaints) or f"{len(twins)} twins agree with their sources")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

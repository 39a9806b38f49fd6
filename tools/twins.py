"""Make the sync twins from their async sources, or check that they are what would be made.

    python tools/twins.py            write every _sync*.py
    python tools/twins.py --check    exit 1 if any differs, or if a rule changed nothing

The rules are plain replacements on whole words. What threads and tasks do differently is not a rule: it is written
twice, in promin_postgres/_wait.py and promin_postgres/worker/.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = "# Generated from {source} by tools/twins.py. Do not edit: edit that and generate again.\n"

RULES: list[tuple[str, str | Callable[[re.Match[str]], str]]] = [
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\b__a(enter|exit)__\b", r"__\1__"),
    (r"\basynccontextmanager\b", "contextmanager"),
    (r"\b(an|An) (Async[A-Z])", lambda m: ("a " if m[1] == "an" else "A ") + m[2]),
    (r"\bAsync([A-Z]\w*)", r"\1"),
    (r"\basync_(\w+)", r"\1"),
    (r"(?<=[. \"])_async(\w*)\b", r"_sync\1"),
]


def sources() -> list[Path]:
    found = sorted((ROOT / "promin_postgres").rglob("_async*.py"))
    return [path for path in found if "worker" not in path.relative_to(ROOT).parts]


def twin_of(source: Path) -> Path:
    return source.with_name(source.name.replace("_async", "_sync", 1))


def generate(text: str, source: str) -> tuple[str, set[int]]:
    """The sync text, and the numbers of the rules that changed something."""
    used = set()
    for number, (pattern, replacement) in enumerate(RULES):
        text, count = re.subn(pattern, replacement, text)
        if count:
            used.add(number)
    return HEADER.format(source=source) + text, used


def main(arguments: list[str]) -> int:
    check = arguments == ["--check"]
    used: set[int] = set()
    wrong = []
    twins = set()
    for source in sources():
        text, changed = generate(source.read_text(), source.name)
        used |= changed
        twin = twin_of(source)
        twins.add(twin)
        if not twin.exists() or twin.read_text() != text:
            wrong.append(twin)
            if not check:
                twin.write_text(text)
    orphans = [path for path in (ROOT / "promin_postgres").rglob("_sync*.py") if path not in twins]
    for path in wrong:
        print(f"{'differs' if check else 'written'}: {path.relative_to(ROOT)}")
    for path in orphans:
        print(f"has no source: {path.relative_to(ROOT)}")
    unused = [RULES[number][0] for number in range(len(RULES)) if number not in used]
    for pattern in unused:
        print(f"this rule changes nothing: {pattern}")
    return 1 if orphans or unused or (check and wrong) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

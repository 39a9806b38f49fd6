"""What a durable function asked for before, and what it may ask for now. Pure; safe to use from several threads."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from promin_postgres._arguments import check_text
from promin_postgres.errors import DefinitionChanged, InvalidArgument, StepFailed, shown
from promin_postgres.lookups import StepStatus, StepType
from promin_postgres.workflow.definition._function import ROOT, noted
from promin_postgres.workflow.runner._records import Verdict
from promin_postgres.workflow.storage._records import StepState

_LONGEST_NAME = 240
_TAKEN = re.compile(r"#\d*$")
_SHOWN = 5


class Suspension(BaseException):
    """Leads out of a function that has to wait. No Exception: no handler of the function's is meant."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict)
        self.verdict = verdict


class Journal:
    """One replay of a function against the record of its run.

    A step is known by its name and by how often that name was asked for before: "fetch", "fetch#2", "fetch#3". So that
    these numbers come out the same in every replay, a name belongs to the first thread (or task) that asks for it.

    The function's own thread asks for one step after the other. When it asks for one that is not recorded, while others
    that it had asked for are, it is not the function that was recorded. Of steps side by side that cannot be known
    before the end: each of them may be the one that the crash came before.
    """

    def __init__(
        self,
        workflow_id: str,
        *,
        version: str | None,
        steps: Mapping[str, StepState],
        owner: object,
        again: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        """`again` has the failed steps that are to be executed once more, each with what was asked for after it."""
        self._workflow_id = workflow_id
        self._version = version
        self._owner = owner
        self._again = again
        self._lock = threading.Lock()
        self._recorded = {name: state for name, state in steps.items() if name != ROOT}
        self._owed: dict[bool, dict[str, None]] = {False: {}, True: {}}
        for name, state in self._recorded.items():
            # A completed step that an earlier version of the function left behind need not be asked for.
            if state.status is not StepStatus.COMPLETED or noted(state, "version") == version:
                self._owed[bool(noted(state, "beside"))][name] = None
        for names in (*again.values(), *(noted(state, "dropped") or () for state in self._recorded.values())):
            for name in names:
                self._settle(name)
        self._counts: dict[str, int] = {}
        self._owners: dict[str, object] = {}
        self.under_way = 0
        """How many steps are being executed."""
        self.executed = False
        """Whether a step was asked for that had no result yet."""
        self.failures: dict[str, int] = {}
        """The recorded failures that were handed out, each with how many steps had been asked for by then."""
        self.order: list[str] = []
        """What was asked for."""
        self.stop: BaseException | None = None
        """Why nothing can be asked for any more; whoever catches it gets it once more, at the next call."""

    def _settle(self, name: str) -> None:
        for owed in self._owed.values():
            owed.pop(name, None)

    def key(self, name: str, asker: object) -> str:
        """The name under which a step is recorded that `asker` asks for now."""
        check_text("name", name, limit=_LONGEST_NAME)
        if _TAKEN.search(name):
            raise InvalidArgument("name", name, "must not end in # and a number: so the second of a name is known")
        with self._lock:
            if self._owners.setdefault(name, asker) is not asker:
                raise InvalidArgument(
                    "name", name, "was asked for elsewhere too: steps side by side need names of their own"
                )
            self._counts[name] = count = self._counts.get(name, 0) + 1
        return name if count == 1 else f"{name}#{count}"

    def begin(self, key: str, kind: StepType, asker: object) -> StepState | None:
        """What is recorded of a step, None if nothing is. It is under way until `end`.

        Raises:
            DefinitionChanged: What is recorded is not what was asked for.
        """
        with self._lock:
            if self.stop is not None:
                raise self.stop
            state = self._recorded.pop(key, None)
            self._settle(key)
            changes = {}
            if (state is None or key in self._again) and self.is_owner(asker):
                changes = self._not_asked(False)
                if changes and state is None:
                    changes = {key: f"step {shown(key)} was asked for and is new", **changes}
            elif state is not None and state.step_type is not kind:
                changes = {key: f"step {shown(key)} was a {state.step_type.name} and is a {kind.name} now"}
            if changes:
                raise self._halt(self._changed(changes))
            self.order.append(key)
            if state is not None and state.status is StepStatus.FAILED and key not in self._again:
                self.failures[key] = len(self.order)
            elif state is None or state.status is not StepStatus.COMPLETED:
                self.executed = True
            self.under_way += 1
        return state

    def is_owner(self, asker: object) -> bool:
        """Whether it is the function itself that asks, and not what it has started beside it."""
        return asker is self._owner

    def end(self) -> None:
        with self._lock:
            self.under_way -= 1

    def halt(self, error: BaseException) -> BaseException:
        """Let nothing more be asked for; returns the error that everybody gets, which is the first one."""
        with self._lock:
            return self._halt(error)

    def _halt(self, error: BaseException) -> BaseException:
        self.stop = self.stop or error
        return self.stop

    def check_end(self) -> None:
        """The function has returned.

        Raises:
            DefinitionChanged: It has not asked for all that is recorded.
        """
        if changes := self._not_asked(False) | self._not_asked(True):
            raise self._changed(changes)

    def metadata(self, key: str, asker: object) -> dict[str, Any] | None:
        """What is noted with a step, for later replays."""
        notes = {
            "version": self._version,
            "beside": None if self.is_owner(asker) else True,
            "dropped": list(self._again.get(key, ())) or None,
        }
        return {name: note for name, note in notes.items() if note is not None} or None

    def to_repeat(self, failure: BaseException) -> dict[str, list[str]]:
        """The recorded failures that a failure of the whole function comes from, each with what was asked for after it.

        None of them when it also comes from a step that has failed now: then the function has come further.
        """
        failed = [one for one in causes(failure) if isinstance(one, StepFailed)]
        names = {one.step_name for one in failed if one.workflow_id == self._workflow_id}
        if not names <= self.failures.keys():
            return {}
        return {name: self.order[count:] for name, count in self.failures.items() if name in names}

    def _not_asked(self, beside: bool) -> dict[str, str]:
        names = itertools.islice(self._owed[beside], _SHOWN)
        return {name: f"step {shown(name)} is recorded and was not asked for" for name in names}

    def _changed(self, changes: Mapping[str, str]) -> DefinitionChanged:
        return DefinitionChanged(workflow_id=self._workflow_id, differences=list(changes.values()), steps=list(changes))


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and those that it was raised from, or while handling, or that it groups."""
    seen: set[int] = set()
    left = [error]
    while left:
        one = left.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        left += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            left += one.exceptions

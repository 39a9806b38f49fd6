# Generated from _async_hooks.py by tools/twins.py. Do not edit: edit that and generate again.
"""Telling hooks."""

from __future__ import annotations

import logging

from promin_postgres._wait import call
from promin_postgres.workflow.definition import Event, Hook

_LOG = logging.getLogger(__name__)


def _nothing() -> None: ...


def fire(hook: Hook | None, event: Event) -> None:
    """Call a hook, if there is one. What it raises is logged and changes nothing."""
    if hook is None:
        return
    try:
        call(hook, event, timeout=None, on_timeout=_nothing)
    except Exception:  # noqa: BLE001 - a user's function may raise anything
        _LOG.exception("a hook of workflow %r raised, about %r", event.workflow_name, event.workflow_id)

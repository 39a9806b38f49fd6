"""On CI a skipped test is a lost test: the run fails, but for what a plain machine may lack."""

from __future__ import annotations

import os
from typing import Any

import pytest

MAY_LACK = ("needs root", "needs ps", "needs setpriv", "needs pg_recvlogical", "needs pg_partman", "needs dot")


def _unexpected(config: pytest.Config) -> list[str]:
    """Which tests were skipped that should have run, and why."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("CI") or reporter is None:
        return []
    reasons = {
        report.nodeid: report.longrepr[2].removeprefix("Skipped: ") for report in reporter.stats.get("skipped", [])
    }
    return [f"{test}: {reason}" for test, reason in reasons.items() if not reason.startswith(MAY_LACK)]


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.exitstatus == pytest.ExitCode.OK and _unexpected(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    unexpected = _unexpected(config)
    if unexpected:
        terminalreporter.section("skipped, but should have run")
        terminalreporter.write("\n".join([*unexpected, ""]))

"""Runs workflows: executes their steps, for whoever drives them, and drives them in this process."""

from promin_postgres.workflow.runner._async import AsyncWorkflow, async_workflow
from promin_postgres.workflow.runner._async_ending import AsyncEnding
from promin_postgres.workflow.runner._async_execute import AsyncCommit, AsyncLaunch, AsyncStepRunner
from promin_postgres.workflow.runner._async_hooks import async_fire
from promin_postgres.workflow.runner._async_runnable import AsyncRunnable
from promin_postgres.workflow.runner._records import Broken, Done, Outcome, Verdict, Waits
from promin_postgres.workflow.runner._sync import Workflow, workflow
from promin_postgres.workflow.runner._sync_ending import Ending
from promin_postgres.workflow.runner._sync_execute import Commit, Launch, StepRunner
from promin_postgres.workflow.runner._sync_hooks import fire
from promin_postgres.workflow.runner._sync_runnable import Runnable

__all__ = [
    "AsyncCommit",
    "AsyncEnding",
    "AsyncLaunch",
    "AsyncRunnable",
    "AsyncStepRunner",
    "AsyncWorkflow",
    "Broken",
    "Commit",
    "Done",
    "Ending",
    "Launch",
    "Outcome",
    "Runnable",
    "StepRunner",
    "Verdict",
    "Waits",
    "Workflow",
    "async_fire",
    "async_workflow",
    "fire",
    "workflow",
]

"""AsyncWorkflowRegistry: workflows by their names, side by side in several versions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from promin_postgres._arguments import check_text
from promin_postgres._time import Seconds
from promin_postgres.errors import InvalidArgument, NotFound, shown
from promin_postgres.lookups import WorkflowStatus
from promin_postgres.workflow.handle import AsyncRunHandle
from promin_postgres.workflow.runner import AsyncRunnable
from promin_postgres.workflow.storage import AsyncPostgresWorkflowStorage


class AsyncWorkflowRegistry:
    """Workflows by name and version: new runs begin with the latest version, old ones go on with theirs.

    The latest of a name is the one that was given last. A worker takes a registry for its workflows.

    Args:
        workflows: All of one storage; at least one.

    Raises:
        InvalidArgument: None, two of one name and version, several storages, a definition that cannot run.
    """

    def __init__(self, *workflows: AsyncRunnable) -> None:
        self._versions: dict[str, dict[str | None, AsyncRunnable]] = {}
        for one in workflows:
            if not isinstance(one, AsyncRunnable):
                raise InvalidArgument("workflows", one, "must be workflows")
            definition = one.definition
            definition.check()
            versions = self._versions.setdefault(definition.name, {})
            if definition.version in versions:
                raise InvalidArgument("workflows", definition.name, f"is there twice in version {definition.version!r}")
            versions[definition.version] = one
        if len({id(one.storage) for one in workflows}) != 1:
            raise InvalidArgument("workflows", workflows, "must be some, and all of one storage")
        self.storage: AsyncPostgresWorkflowStorage = workflows[0].storage

    def __iter__(self) -> Iterator[AsyncRunnable]:
        return (one for versions in self._versions.values() for one in versions.values())

    def latest(self, name: str) -> AsyncRunnable:
        """The version that new runs begin with. Raises NotFound."""
        return next(reversed(self._known(name).values()))

    def get(self, name: str, version: str | None) -> AsyncRunnable:
        """One version. Raises NotFound."""
        found = self._known(name).get(version)
        if found is None:
            raise NotFound(f"version of workflow {shown(name)}", version)
        return found

    async def start(
        self,
        name: str,
        *,
        workflow_id: str,
        input: Any = None,  # noqa: A002 - the word of the public API
        connection: Any = None,
    ) -> AsyncRunHandle:
        """Begin a run of the latest version, as its `start` does."""
        return await self.latest(name).start(workflow_id=workflow_id, input=input, connection=connection)

    async def run(
        self,
        name: str,
        *,
        workflow_id: str,
        input: Any = None,  # noqa: A002 - the word of the public API
        wait: Seconds | None = None,
    ) -> Any:
        """Run in this process, as a workflow's `run` does: the latest version, or the one that the run began with.

        Raises:
            NotFound: The name, or the version of the run, is not registered. And what `run` raises.
        """
        run = await self.storage.load_run(workflow_id, steps=False)
        # One that has ended is answered by its own version, too: it may have another step to go on with.
        chosen = self.latest(name) if run is None else self.get(name, run.version)
        return await chosen.run(workflow_id=workflow_id, input=input, wait=wait)

    async def resume(self, *, workflow_id: str, wait: Seconds | None = None) -> Any:
        """Go on with a run in this process, with the version that it began with. Raises as `run`."""
        run = await self.storage.load_run(workflow_id, steps=False)
        if run is None:
            raise NotFound("workflow", workflow_id)
        return await self.get(run.workflow_name, run.version).resume(workflow_id=workflow_id, wait=wait)

    def get_handle(self, workflow_id: str) -> AsyncRunHandle:
        """A run by its id. Whether it is there shows when it is asked for something."""
        return AsyncRunHandle(self.storage, workflow_id)

    async def count_by_version(self, name: str) -> dict[str | None, dict[WorkflowStatus, int]]:
        """How many current runs of a workflow there are, by version and status, of whatever version.

        Source: sql/workflow/count_by_version.sql.
        """
        return await self.storage.count_by_version(name)

    def _known(self, name: str) -> dict[str | None, AsyncRunnable]:
        versions = self._versions.get(check_text("name", name))
        if versions is None:
            raise NotFound("registered workflow", name)
        return versions

"""Procrastinate: `PsycopgConnector` on psycopg's C speed-ups, async throughout.

Settings: the worker takes `concurrency` (its guide "Launch multiple jobs concurrently"; the pool has two connections
more) and `delete_jobs="always"` (fewer rows to carry along); LISTEN is on, as by default. It has no batch fetch:
every job is fetched and finished by a statement of its own. Low level: `job_manager.fetch_job` and `finish_job`.
"""

from typing import ClassVar

import procrastinate
from procrastinate.jobs import Status

from benchmarks.peers._common import Peer, job_done, main

CONCURRENCY = 10


class Procrastinate(Peer):
    name = "procrastinate"
    package = "procrastinate"
    settings: ClassVar = {
        "": "PsycopgConnector, async",
        "drain": f"concurrency={CONCURRENCY}, delete_jobs=always, LISTEN",
        "latency": f"concurrency={CONCURRENCY}, LISTEN",
        "claim_ack_1": "job_manager.fetch_job + finish_job(delete_job=True)",
    }
    left = "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"

    def __init__(self, dsn, measure):
        super().__init__(dsn, measure)
        self.app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=dsn, max_size=CONCURRENCY + 2))
        self.noop = self.app.task(name="noop")(_noop)

    async def install(self):
        async with self.app.open_async():
            await self.app.schema_manager.apply_schema_async()

    async def enqueue(self, payloads, clock):
        async with self.app.open_async():
            with clock:
                for payload in payloads:
                    await self.noop.defer_async(**payload)

    async def bulk(self, payloads, clock):
        async with self.app.open_async():
            with clock:
                await self.noop.batch_defer_async(*payloads)

    async def work(self, ready):
        async with self.app.open_async():
            ready()
            await self.app.run_worker_async(concurrency=CONCURRENCY, delete_jobs="always")

    async def claim_ack(self, batch, count, clock):
        assert batch == 1
        async with self.app.open_async():
            jobs = self.app.job_manager
            worker = await jobs.register_worker()
            with clock:
                for _ in range(count):
                    job = await jobs.fetch_job(queues=None, worker_id=worker)
                    await jobs.finish_job(job=job, status=Status.SUCCEEDED, delete_job=True)


async def _noop(n):
    job_done(n)


if __name__ == "__main__":
    main(Procrastinate)

"""Chancy, async throughout.

Settings: the async executor (for jobs that are coroutines) with its default of 100 jobs at a time, a queue that polls
again as soon as a job ends (`eager_polling`), NOTIFY and plugins as by default, log level WARNING (at INFO it logs
every job). The worker writes finished jobs back once a second, up to a thousand in one transaction; that is its
default, and no shorter interval was faster. Low level: `Worker.fetch_jobs`, then `queue_update` and `flush`.
"""

import dataclasses
import logging
from typing import ClassVar

from chancy import Chancy, Job, Queue, QueuedJob, Worker

from benchmarks.peers._common import Peer, job_done, main

CONCURRENCY = 100


class OnChancy(Peer):
    name = "chancy"
    package = "chancy"
    settings: ClassVar = {
        "": "async",
        "bulk": "push_many(batch_size=1000)",
        "drain": f"AsyncExecutor, concurrency={CONCURRENCY}, eager_polling",
        "latency": f"AsyncExecutor, concurrency={CONCURRENCY}, eager_polling, NOTIFY",
        "claim_ack_100": "Worker.fetch_jobs, then queue_update + flush",
        "claim_ack_1": "Worker.fetch_jobs, then queue_update + flush",
    }
    left = "SELECT count(*) FROM chancy_jobs WHERE state NOT IN ('succeeded', 'failed')"

    def app(self):
        log = logging.getLogger("chancy")
        log.setLevel(logging.WARNING)
        return Chancy(self.dsn, log=log)

    async def install(self):
        async with self.app() as chancy:
            await chancy.migrate()
            await chancy.declare(
                Queue("default", concurrency=CONCURRENCY, executor=Chancy.Executor.Async, eager_polling=True)
            )

    async def enqueue(self, payloads, clock):
        async with self.app() as chancy:
            with clock:
                for payload in payloads:
                    await chancy.push(_job(payload))

    async def bulk(self, payloads, clock):
        async with self.app() as chancy:
            with clock:
                async for _ in chancy.push_many([_job(payload) for payload in payloads]):
                    pass

    async def work(self, ready):
        async with self.app() as chancy:
            ready()
            async with Worker(chancy) as worker:
                await worker.wait_for_shutdown()

    async def claim_ack(self, batch, count, clock):
        async with self.app() as chancy:
            worker = Worker(chancy)
            queue = await chancy.get_queue("default")
            with clock:
                while jobs := await self.claim(chancy, worker, queue, batch):
                    for job in jobs:
                        await worker.queue_update(dataclasses.replace(job, state=QueuedJob.State.SUCCEEDED))
                    await worker.flush()

    async def claim(self, chancy, worker, queue, batch):
        async with chancy.pool.connection() as connection:
            return await worker.fetch_jobs(queue, connection, up_to=batch)


async def noop(*, n):
    job_done(n)


def _job(payload):
    return Job.from_func(noop, kwargs=payload)


if __name__ == "__main__":
    main(OnChancy)

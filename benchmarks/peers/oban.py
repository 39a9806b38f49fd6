"""Oban for Python, async throughout.

Settings: uvloop, as its own command line has it; a queue with a `limit` of 100 jobs at a time; everything else at its
default (a notifier by LISTEN, completions written together before each fetch). Low level: `Query.fetch_jobs` and
`Query.ack_jobs`, which its own producer uses; they are not public.
"""

import asyncio
from typing import ClassVar

import uvloop
from oban import Oban, worker
from oban._executor import AckAction
from oban.schema import install

from benchmarks.peers._common import Peer, job_done, main

LIMIT = 100


class OnOban(Peer):
    name = "oban"
    package = "oban"
    settings: ClassVar = {
        "": "uvloop",
        "bulk": "uvloop, enqueue_many",
        "drain": f"uvloop, queue limit {LIMIT}",
        "latency": f"uvloop, queue limit {LIMIT}, LISTEN",
        "claim_ack_100": "uvloop, Query.fetch_jobs + ack_jobs",
        "claim_ack_1": "uvloop, Query.fetch_jobs + ack_jobs",
    }
    left = "SELECT count(*) FROM oban_jobs WHERE state IN ('available', 'executing', 'scheduled', 'retryable')"
    run = staticmethod(uvloop.run)

    async def pool(self):
        return await Oban.create_pool(self.dsn)

    async def install(self):
        await install(await self.pool())

    async def enqueue(self, payloads, clock):
        oban = Oban(pool=await self.pool())
        with clock:
            for payload in payloads:
                await oban.enqueue(Noop.new(payload))

    async def bulk(self, payloads, clock):
        oban = Oban(pool=await self.pool())
        with clock:
            await oban.enqueue_many([Noop.new(payload) for payload in payloads])

    async def work(self, ready):
        oban = Oban(pool=await self.pool(), queues={"noop": LIMIT})
        ready()
        await oban.start()
        await asyncio.Event().wait()

    async def claim_ack(self, batch, count, clock):
        query = Oban(pool=await self.pool())._query
        with clock:
            while jobs := await query.fetch_jobs(demand=batch, queue="noop", node="me", uuid="me"):
                await query.ack_jobs([AckAction(job=job, state="completed") for job in jobs])


@worker(queue="noop")
class Noop:
    async def process(self, job):
        job_done(job.args["n"])


if __name__ == "__main__":
    main(OnOban)

"""PgQueuer, on psycopg and on asyncpg (two peers: `pgqueuer` and `pgqueuer-asyncpg`).

Settings: uvloop, as its own command line and benchmark use it; `optimize_autovacuum` after the installation, as its
guide asks; `batch_size` 100, which is also how many status changes it writes at once; a connection per consumer, as
its guide asks, and five consumers, as its own benchmark has. Durability is its default, all tables logged. Low level:
`Queries.dequeue` and `Queries.log_jobs`.

On psycopg the listener holds the connection for up to a second at a time, which is what its latency shows.
"""

import asyncio
import json
import uuid
from datetime import timedelta
from typing import ClassVar

import psycopg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver, PsycopgDriver
from pgqueuer.ports.repository import EntrypointExecutionParameter
from pgqueuer.queries import Queries

from benchmarks.peers._common import Peer, job_done, main

BATCH = 100
CONSUMERS = 5


class OnPsycopg(Peer):
    name = "pgqueuer"
    package = "pgqueuer"
    settings: ClassVar = {
        "": "psycopg, uvloop",
        "drain": f"psycopg, uvloop, {CONSUMERS} consumers of batch_size={BATCH}",
        "claim_ack_100": "psycopg, Queries.dequeue + log_jobs",
        "claim_ack_1": "psycopg, Queries.dequeue + log_jobs",
    }
    left = "SELECT count(*) FROM pgqueuer"
    run = staticmethod(uvloop.run)

    async def driver(self):
        return PsycopgDriver(await psycopg.AsyncConnection.connect(self.dsn, autocommit=True))

    async def install(self):
        queries = Queries(await self.driver())
        await queries.install()
        await queries.optimize_autovacuum()

    async def enqueue(self, payloads, clock):
        queries = Queries(await self.driver())
        with clock:
            for payload in payloads:
                await queries.enqueue("noop", json.dumps(payload).encode())

    async def bulk(self, payloads, clock):
        queries = Queries(await self.driver())
        with clock:
            encoded = [json.dumps(payload).encode() for payload in payloads]
            await queries.enqueue(["noop"] * len(encoded), encoded, [0] * len(encoded))

    async def work(self, ready):
        consumers = [PgQueuer(await self.driver()) for _ in range(CONSUMERS)]
        for consumer in consumers:
            consumer.entrypoint("noop")(_noop)
        ready()
        await asyncio.gather(*(consumer.run(batch_size=BATCH) for consumer in consumers))

    async def claim_ack(self, batch, count, clock):
        queries = Queries(await self.driver())
        entrypoints = {"noop": EntrypointExecutionParameter(concurrency_limit=0)}
        me = uuid.uuid4()
        with clock:
            while jobs := await queries.dequeue(batch, entrypoints, me, None, timedelta(seconds=30)):
                await queries.log_jobs([(job, "successful", None) for job in jobs])


class OnAsyncpg(OnPsycopg):
    name = "pgqueuer-asyncpg"
    settings: ClassVar = {
        "": "asyncpg, uvloop",
        "drain": f"asyncpg, uvloop, {CONSUMERS} consumers of batch_size={BATCH}",
        "latency": f"asyncpg, uvloop, {CONSUMERS} consumers of batch_size={BATCH}",
        "claim_ack_100": "asyncpg, Queries.dequeue + log_jobs",
        "claim_ack_1": "asyncpg, Queries.dequeue + log_jobs",
    }

    async def driver(self):
        import asyncpg

        return AsyncpgDriver(await asyncpg.connect(self.dsn))


async def _noop(job):
    job_done(json.loads(job.payload)["n"])


if __name__ == "__main__":
    main(OnPsycopg, OnAsyncpg)

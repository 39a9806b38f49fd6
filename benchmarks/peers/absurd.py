"""Absurd through its Python SDK (`absurd-sdk`), with the schema that `absurdctl` carries.

Settings: the synchronous client, `start_worker(concurrency=1, batch_size=100)`, which claims 100 tasks and runs them
one after the other (its threads would share the one connection); polling every 0.25 s, its default. A plain job is a
task without steps, a workflow one with three. Low level: `work_batch` on tasks that do nothing. It has no bulk API:
the backlog is loaded by one statement that calls its `spawn_task` for every payload.
"""

import json
from typing import ClassVar

import psycopg
from absurd_sdk import Absurd
from absurdctl import BUNDLED_SCHEMA_SQL

from benchmarks.peers._common import Peer, job_done, main

BATCH = 100


class OnAbsurd(Peer):
    name = "absurd"
    package = "absurd-sdk"
    settings: ClassVar = {
        "": "synchronous client",
        "drain": f"start_worker(concurrency=1, batch_size={BATCH})",
        "latency": "start_worker, polls every 0.25 s (default)",
        "workflows": f"start_worker(concurrency=1, batch_size={BATCH})",
        "claim_ack_100": "work_batch(batch_size=100)",
        "claim_ack_1": "work_batch(batch_size=1)",
    }
    polling = 0.25
    left = "SELECT count(*) FROM absurd.t_default WHERE state NOT IN ('completed', 'failed', 'cancelled')"

    def install(self):
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(BUNDLED_SCHEMA_SQL)
        self.app().create_queue()

    def app(self, handler=lambda params, context: None):
        app = Absurd(self.dsn)
        app.register_task(name="noop")(handler)
        return app

    def enqueue(self, payloads, clock):
        app = self.app()
        with clock:
            for payload in payloads:
                app.spawn("noop", payload)

    def fill(self, payloads):
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(
                "SELECT count(*) FROM jsonb_array_elements(%s::jsonb) AS payload,"
                "  absurd.spawn_task('default', 'noop', payload, '{\"max_attempts\": 5}')",
                [json.dumps(list(payloads))],
            )

    def work(self, ready):
        app = self.app(self.workflow if self.steps else _noop)
        ready()
        app.start_worker(concurrency=1, batch_size=BATCH)

    def workflow(self, params, context):
        for step in range(self.steps):
            context.step(f"step-{step}", lambda: None)
        job_done(params["n"])

    def claim_ack(self, batch, count, clock):
        app = self.app()
        with clock:
            for _ in range(-(-count // batch)):
                app.work_batch(batch_size=batch)


def _noop(params, context):
    job_done(params["n"])


if __name__ == "__main__":
    main(OnAbsurd)

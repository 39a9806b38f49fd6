"""DBOS Transact for Python.

Settings: synchronous workflows and steps; a queue without limits, which hands all that is enqueued to a pool of
threads at once; polled every second for latency, which is the default, and every 0.1 s for throughput. Plain jobs are
workflows without steps (DBOS has nothing smaller); the enqueuing side is a `DBOSClient`. Going to work is
`DBOS.launch()`: it polls from then on.
"""

import os
import threading
from typing import ClassVar

from dbos import DBOS, DBOSClient

from benchmarks.peers._common import Clock, Peer, job_done, main

# One application version for the enqueuing and the working process, as a deployment would have.
os.environ["DBOS__APPVERSION"] = "1"


class OnDBOS(Peer):
    name = "dbos"
    package = "dbos"
    settings: ClassVar = {
        "": "DBOSClient.enqueue",
        "drain": "queue without limits, polled every 0.1 s, threads",
        "latency": "queue without limits, polled every second (default)",
        "workflows": "queue without limits, polled every 0.1 s, threads",
        "workflows_direct": "the workflow function called, in one thread",
    }
    polling = 1.0
    left = "SELECT count(*) FROM dbos.workflow_status WHERE status IN ('ENQUEUED', 'PENDING') AND queue_name = 'noop'"

    def install(self):
        self.launch()
        DBOS.register_queue("noop", polling_interval_sec=self.polling if self.measure == "latency" else 0.1)
        DBOS.destroy()

    def launch(self):
        url = self.dsn.replace("postgresql://", "postgresql+psycopg://", 1)
        executor = str(os.getpid())
        DBOS(config={"name": "noop", "system_database_url": url, "executor_id": executor, "log_level": "WARNING"})
        DBOS.launch()

    def enqueue(self, payloads, clock):
        client = DBOSClient(system_database_url=self.dsn.replace("postgresql://", "postgresql+psycopg://", 1))
        options = {"queue_name": "noop", "workflow_name": "three_steps" if self.steps else "noop"}
        with clock:
            for payload in payloads:
                client.enqueue(options, payload)

    def fill(self, payloads):
        self.enqueue(payloads, Clock())

    def work(self, ready):
        ready()
        self.launch()
        threading.Event().wait()

    def workflows_direct(self, payloads, clock):
        self.launch()
        with clock:
            for payload in payloads:
                direct(payload)
        DBOS.destroy()


@DBOS.step()
def step():
    pass


@DBOS.workflow(name="noop")
def noop(payload):
    job_done(payload["n"])


@DBOS.workflow(name="three_steps")
def three_steps(payload):
    for _ in range(3):
        step()
    job_done(payload["n"])


@DBOS.workflow(name="direct")
def direct(payload):
    for _ in range(3):
        step()


if __name__ == "__main__":
    main(OnDBOS)

"""promin_postgres itself, with threads and with tasks (two peers: `promin` and `promin-async`).

Settings: all defaults. Low level: `settle_and_claim`.
"""

from typing import ClassVar

from benchmarks.peers._common import Peer, job_done, main
from promin_postgres import AsyncWorker, Completed, NewTask, PgStepQueue, Worker


class WithThreads(Peer):
    name = "promin"
    package = "promin-postgres"
    settings: ClassVar = {"": "PgStepQueue", "drain": "Worker", "latency": "Worker"}
    left = "SELECT count(*) FROM wf_step_queue"

    def install(self):
        with PgStepQueue(self.dsn) as queue:
            queue.ensure_table()

    def enqueue(self, payloads, clock):
        with PgStepQueue(self.dsn) as queue:
            queue.metrics()  # connects
            with clock:
                for number, payload in enumerate(payloads):
                    queue.enqueue(f"wf-{number}", "noop", input=payload)

    def bulk(self, payloads, clock):
        with PgStepQueue(self.dsn) as queue:
            queue.metrics()
            with clock:
                tasks = [
                    NewTask(workflow_id=f"wf-{n}", step_name="noop", input=payload)
                    for n, payload in enumerate(payloads)
                ]
                queue.enqueue_many(tasks)

    def work(self, ready):
        def noop(context):
            job_done(context.input["n"])

        worker = Worker(self.dsn, handlers={"noop": noop})
        ready()
        worker.run()

    def claim_ack(self, batch, count, clock):
        with PgStepQueue(self.dsn) as queue:
            queue.metrics()
            with clock:
                tasks = queue.claim(queues=["default"], limit=batch)
                while tasks:
                    done = [Completed(task) for task in tasks]
                    tasks = queue.settle_and_claim(done, queues=["default"], limit=batch)


class WithTasks(WithThreads):
    name = "promin-async"
    settings: ClassVar = {"": "PgStepQueue", "drain": "AsyncWorker", "latency": "AsyncWorker"}

    async def work(self, ready):
        async def noop(context):
            job_done(context.input["n"])

        worker = AsyncWorker(self.dsn, handlers={"noop": noop})
        ready()
        await worker.run()


if __name__ == "__main__":
    main(WithThreads, WithTasks)

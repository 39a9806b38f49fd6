"""pgmq through its Python client (`pgmq`), and its SQL functions through bare psycopg (`pgmq-sql`).

The extension is the SQL that the client's wheel carries, installed by the client's own `install_pgmq_from_sql`. There
is no worker, so nothing is drained; its consumers read and delete. Settings: `PGMQueue` (synchronous) with its pool;
a visibility timeout of 30 s; latency is that of `read_with_poll`, which asks every 100 ms by default. Bare psycopg:
one autocommit connection, the functions called with casts, columns by name.
"""

import json
from typing import ClassVar

import psycopg
from pgmq import PGMQueue
from pgmq.install import install_pgmq_from_sql
from psycopg.types.json import Jsonb

from benchmarks.peers._common import Peer, job_done, main

VT = 30


class Client(Peer):
    name = "pgmq"
    package = "pgmq"
    settings: ClassVar = {
        "": "PGMQueue",
        "bulk": "PGMQueue.send_batch",
        "latency": "PGMQueue.read_with_poll, polls every 100 ms",
        "claim_ack_100": "PGMQueue.read_batch + delete_batch",
        "claim_ack_1": "PGMQueue.read + delete",
    }
    left = "SELECT count(*) FROM pgmq.q_noop"

    def install(self):
        with psycopg.connect(self.dsn) as connection:
            install_pgmq_from_sql(conn=connection)
        self.queue().create_queue("noop")

    def queue(self):
        return PGMQueue(conn_string=self.dsn, init_extension=False)

    def enqueue(self, payloads, clock):
        queue = self.queue()
        with clock:
            for payload in payloads:
                queue.send("noop", payload)

    def bulk(self, payloads, clock):
        queue = self.queue()
        with clock:
            queue.send_batch("noop", payloads)

    def work(self, ready):
        queue = self.queue()
        ready()
        while True:
            for message in queue.read_with_poll("noop", vt=VT, qty=100) or ():
                job_done(message.message["n"])
                queue.delete("noop", message.msg_id)

    def claim_ack(self, batch, count, clock):
        queue = self.queue()
        with clock:
            if batch == 1:
                while message := queue.read("noop", vt=VT):
                    queue.delete("noop", message.msg_id)
            else:
                while messages := queue.read_batch("noop", vt=VT, batch_size=batch):
                    queue.delete_batch("noop", [message.msg_id for message in messages])


class BareSQL(Client):
    name = "pgmq-sql"
    settings: ClassVar = {
        "": "psycopg, autocommit",
        "bulk": "psycopg, autocommit, pgmq.send_batch",
        "claim_ack_100": "psycopg, autocommit, pgmq.read + pgmq.delete(array)",
        "claim_ack_1": "psycopg, autocommit, pgmq.read + pgmq.delete(array)",
    }

    def connect(self):
        return psycopg.connect(self.dsn, autocommit=True)

    def enqueue(self, payloads, clock):
        connection = self.connect()
        with clock:
            for payload in payloads:
                connection.execute("SELECT pgmq.send(%s::text, %s::jsonb)", ("noop", json.dumps(payload)))

    def bulk(self, payloads, clock):
        connection = self.connect()
        with clock:
            messages = [Jsonb(payload) for payload in payloads]
            connection.execute("SELECT pgmq.send_batch(%s::text, %s::jsonb[])", ("noop", messages))

    def claim_ack(self, batch, count, clock):
        connection = self.connect()
        read = "SELECT msg_id, message FROM pgmq.read(%s::text, %s::integer, %s::integer)"
        delete = "SELECT pgmq.delete(%s::text, %s::bigint[])"
        with clock:
            while rows := connection.execute(read, ("noop", VT, batch)).fetchall():
                connection.execute(delete, ("noop", [msg_id for msg_id, _ in rows]))


if __name__ == "__main__":
    main(Client, BareSQL)

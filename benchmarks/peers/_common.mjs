// What the two node scripts share: `_common.py` for node. The measures are the same ones and timed by the same rules; a
// worker has a thread of its own (an event loop, a heap and connections of its own) where the Python peers have a process.
// The peers are found through NODE_PATH, which imports do not heed and `require` does.

import { createRequire } from "node:module";
import { parseArgs } from "node:util";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";

export const require = createRequire(import.meta.url);

const LATENCY_BUDGET = 120; // seconds
const PATIENCE = 600;

const now = () => Number(process.hrtime.bigint()) / 1e9; // one monotonic clock for all threads
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const payloads = (count) => Array.from({ length: count }, (_, n) => ({ n }));

export class Clock {
  seconds = 0;
  async time(block) {
    const start = now();
    await block();
    this.seconds += now() - start;
  }
}

// Every handler calls this first, and does nothing else.
export function jobDone(n) {
  new Float64Array(workerData.started)[n] = now();
  Atomics.add(new Int32Array(workerData.counter), 0, 1);
}

// A peer: {name, package, settings, polling, left, install, enqueue, bulk, work, claimAck}, as in _common.py.
export async function main(url, peer) {
  if (!isMainThread) {
    await peer.work(workerData.dsn, async () => {
      parentPort.postMessage("ready");
      await new Promise((resolve) => parentPort.once("message", resolve));
    });
    return;
  }
  const { values } = parseArgs({
    options: { peer: { type: "string" }, dsn: { type: "string" }, measure: { type: "string" }, count: { type: "string" } },
  });
  const count = Number(values.count);
  await peer.install(values.dsn);
  const result = await measure(url, peer, values.dsn, values.measure, count);
  const settings = peer.settings[values.measure] ?? peer.settings[""];
  const { version } = require(`${peer.package}/package.json`);
  console.log(JSON.stringify({ peer: peer.name, version, measure: values.measure, ...result, settings }));
  process.exit(0);
}

async function measure(url, peer, dsn, name, count) {
  const clock = new Clock();
  if (name === "enqueue" || name === "bulk") {
    await peer[name](dsn, payloads(count), clock);
  } else if (name === "drain") {
    await drain(url, peer, dsn, count, clock);
  } else if (name.startsWith("claim_ack_") && peer.claimAck) {
    await fill(peer, dsn, count);
    await peer.claimAck(dsn, Number(name.split("_").at(-1)), clock);
    if (await left(peer, dsn)) throw new Error("jobs are left");
  } else if (name === "latency") {
    return latency(url, peer, dsn, count);
  } else {
    throw new Error(`no such measure: ${name}`);
  }
  return { value: Math.round((10 * count) / clock.seconds) / 10, unit: "jobs/s", count };
}

async function drain(url, peer, dsn, count, clock) {
  await fill(peer, dsn, count);
  const worker = await startWorker(url, dsn, count);
  await clock.time(async () => {
    worker.go();
    await worker.reach(count);
    while (await left(peer, dsn)) await pause(5);
  });
}

async function latency(url, peer, dsn, count) {
  const worker = await startWorker(url, dsn, count);
  worker.go();
  await pause(2000);
  const delays = [];
  async function* oneAtATime() {
    const end = now() + LATENCY_BUDGET;
    for (const payload of payloads(count)) {
      const called = now();
      yield payload;
      await worker.reach(payload.n + 1);
      delays.push((worker.started[payload.n] - called) * 1000);
      if (now() > end) return;
      await pause(150 + Math.random() * 1000 * (peer.polling ?? 0.1));
    }
  }
  await peer.enqueue(dsn, oneAtATime(), new Clock());
  delays.sort((a, b) => a - b);
  const at = (share) => Math.round(100 * delays[Math.min(delays.length - 1, Math.floor(share * delays.length))]) / 100;
  return { value: at(0.5), unit: "ms", p99: at(0.99), count: delays.length };
}

async function startWorker(url, dsn, count) {
  const counter = new SharedArrayBuffer(4);
  const started = new SharedArrayBuffer(8 * count);
  const thread = new Worker(new URL(url), { workerData: { dsn, counter, started }, argv: [] });
  thread.once("error", (error) => {
    throw error;
  });
  await new Promise((resolve) => thread.once("message", resolve));
  return {
    started: new Float64Array(started),
    go: () => thread.postMessage("go"),
    async reach(goal) {
      const end = now() + PATIENCE;
      while (Atomics.load(new Int32Array(counter), 0) < goal) {
        if (now() > end) throw new Error("stuck");
        await pause(1);
      }
    },
  };
}

async function fill(peer, dsn, count) {
  await peer.bulk(dsn, payloads(count), new Clock());
  const found = await left(peer, dsn);
  if (found !== count) throw new Error(`loaded ${count} jobs, found ${found}`);
  await query(dsn, "VACUUM (ANALYZE)");
}

async function left(peer, dsn) {
  return Number((await query(dsn, peer.left)).rows[0].count);
}

async function query(dsn, text) {
  const client = new (require("pg").Client)({ connectionString: dsn });
  await client.connect();
  try {
    return await client.query(text);
  } finally {
    await client.end();
  }
}

// pg-boss. Settings: one worker that polls every 0.5 s, the shortest interval it takes, and fetches up to 1,000 jobs at once
// (`batchSize`). It would sleep until its next poll after every batch, which only measures the interval, so the handler
// calls `notifyWorker` after a full batch. Bulk is `insert`. Low level: `fetch` and `complete`.

import { jobDone, main, require } from "./_common.mjs";

const PgBoss = require("pg-boss");
const POLLING = 0.5;
const BATCH = 1000;

async function withBoss(dsn, block) {
  const boss = new PgBoss({ connectionString: dsn, supervise: false, schedule: false });
  boss.on("error", console.error);
  await boss.start();
  await block(boss);
  await boss.stop({ graceful: false, wait: false });
}

await main(import.meta.url, {
  name: "pg-boss",
  package: "pg-boss",
  polling: POLLING,
  settings: {
    "": "send",
    bulk: "insert",
    drain: `work(batchSize=${BATCH}, pollingIntervalSeconds=${POLLING}), notifyWorker`,
    latency: `work, pollingIntervalSeconds=${POLLING} (its shortest)`,
    claim_ack_100: "fetch + complete",
    claim_ack_1: "fetch + complete",
  },
  left: "SELECT count(*) FROM pgboss.job WHERE name = 'noop' AND state IN ('created', 'retry', 'active')",
  install: (dsn) => withBoss(dsn, (boss) => boss.createQueue("noop")),
  enqueue: (dsn, payloads, clock) =>
    withBoss(dsn, (boss) =>
      clock.time(async () => {
        for await (const payload of payloads) await boss.send("noop", payload);
      }),
    ),
  bulk: (dsn, payloads, clock) =>
    withBoss(dsn, (boss) => clock.time(() => boss.insert(payloads.map((data) => ({ name: "noop", data }))))),
  work: (dsn, ready) =>
    withBoss(dsn, async (boss) => {
      await ready();
      const options = { batchSize: BATCH, pollingIntervalSeconds: POLLING };
      const worker = await boss.work("noop", options, async (jobs) => {
        jobs.forEach((job) => jobDone(job.data.n));
        if (jobs.length === BATCH) boss.notifyWorker(worker);
      });
      await new Promise(() => {});
    }),
  claimAck: (dsn, batchSize, clock) =>
    withBoss(dsn, (boss) =>
      clock.time(async () => {
        for (;;) {
          const jobs = await boss.fetch("noop", { batchSize });
          if (!jobs.length) return;
          await boss.complete("noop", jobs.map((job) => job.id));
        }
      }),
    ),
});

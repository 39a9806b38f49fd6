// Graphile Worker, at the settings of its page on performance: 24 jobs at once on a pool of 25, a local queue of 500 (which
// locks 500 jobs for this worker at once), completions written in batches without delay. Logging of success is off.
// Bulk is `addJobs`. There is no low-level claim.

import { jobDone, main, require } from "./_common.mjs";

const { Logger, WorkerPreset, makeWorkerUtils, run } = require("graphile-worker");

const options = (dsn) => ({
  connectionString: dsn,
  concurrentJobs: 24,
  maxPoolSize: 25,
  localQueue: { size: 500 },
  completeJobBatchDelay: 0,
  failJobBatchDelay: 0,
  logger: new Logger(() => () => {}),
});

async function withUtils(dsn, block) {
  const utils = await makeWorkerUtils({ connectionString: dsn, logger: options(dsn).logger });
  try {
    await block(utils);
  } finally {
    await utils.release();
  }
}

await main(import.meta.url, {
  name: "graphile-worker",
  package: "graphile-worker",
  settings: {
    "": "makeWorkerUtils",
    bulk: "addJobs",
    drain: "24 jobs at once, localQueue 500, completeJobBatchDelay 0",
    latency: "24 jobs at once, localQueue 500, LISTEN",
  },
  left: "SELECT count(*) FROM graphile_worker.jobs",
  install: (dsn) => withUtils(dsn, (utils) => utils.migrate()),
  enqueue: (dsn, payloads, clock) =>
    withUtils(dsn, (utils) =>
      clock.time(async () => {
        for await (const payload of payloads) await utils.addJob("noop", payload);
      }),
    ),
  bulk: (dsn, payloads, clock) =>
    withUtils(dsn, (utils) =>
      clock.time(() => utils.addJobs(payloads.map((payload) => ({ identifier: "noop", payload })))),
    ),
  async work(dsn, ready) {
    await ready();
    const preset = { extends: [WorkerPreset], worker: options(dsn) };
    await run({ preset, taskList: { noop: async ({ n }) => jobDone(n) }, parsedCronItems: [], noHandleSignals: true });
  },
});

// BullMQ and graphile-worker, each as its own documents advise for throughput, driven line by line
// as src/side.rs says. node peers.mjs NAME URL
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const [name, url, packages] = process.argv.slice(2);
// Packages lie in the folder of the build, never in this one.
const require = createRequire(packages + '/');
const QUEUE = 'bench';
const tally = { jobs: 0, first: Number.MAX_SAFE_INTEGER, last: 0, waits: [] };
const now = () => Math.round((performance.timeOrigin + performance.now()) * 1000);

function ran(stamp) {
  const at = now();
  if (stamp > 0) tally.waits.push(Math.max(0, at - stamp));
  tally.first = Math.min(tally.first, at);
  tally.last = Math.max(tally.last, at);
  tally.jobs += 1;
}

function bullmq() {
  const { Queue, Worker } = require('bullmq');
  const { hostname: host, port } = new URL(url);
  const connection = { host, port: Number(port), maxRetriesPerRequest: null };
  let queue, worker;
  const producer = () => (queue ??= new Queue(QUEUE, { connection }));
  return {
    async setUp() {
      await producer().waitUntilReady();
      return 'addBulk, concurrency as stated; keeps jobs that are over';
    },
    async enqueue(stamps) {
      if (stamps.length === 1) return producer().add('noop', stamps[0]);
      await producer().addBulk(stamps.map((data) => ({ name: 'noop', data })));
    },
    async work(concurrency) {
      worker = new Worker(QUEUE, async (job) => ran(job.data), { connection, concurrency });
      worker.on('error', (error) => console.error(error));
      await worker.waitUntilReady();
    },
    stop: () => worker?.close(),
  };
}

function graphile() {
  const { Logger, makeWorkerUtils, run } = require('graphile-worker');
  const logger = new Logger(() => (level, message) => level === 'error' && console.error(message));
  let utils, runner;
  const producer = async () => (utils ??= await makeWorkerUtils({ connectionString: url, logger }));
  return {
    async setUp() {
      await (await producer()).migrate();
      return 'localQueue of 500, completeJobBatchDelay 0, maxPoolSize 10, notifications; deletes jobs that are over';
    },
    async enqueue(stamps) {
      const adding = await producer();
      if (stamps.length === 1) return adding.addJob('noop', { stamp: stamps[0] });
      await adding.addJobs(stamps.map((stamp) => ({ identifier: 'noop', payload: { stamp } })));
    },
    async work(concurrency) {
      runner = await run({
        connectionString: url,
        logger,
        noHandleSignals: true,
        taskList: { noop: ({ stamp }) => ran(stamp) },
        preset: {
          worker: {
            concurrentJobs: concurrency,
            maxPoolSize: 10,
            localQueue: { size: 500 },
            completeJobBatchDelay: 0,
            failJobBatchDelay: 0,
          },
        },
      });
    },
    stop: () => runner?.stop(),
  };
}

const side = { bullmq, graphile }[name]();
let working = false;

async function obey(order) {
  const answer = {};
  if (order.do === 'set_up') {
    answer.settings = await side.setUp();
  } else if (order.do === 'enqueue') {
    const started = performance.now();
    answer.jobs = 0;
    while (answer.jobs < order.jobs && performance.now() - started < order.milliseconds) {
      const batch = Math.min(order.batch, order.jobs - answer.jobs);
      await side.enqueue(Array(batch).fill(0));
      answer.jobs += batch;
    }
    answer.seconds = (performance.now() - started) / 1000;
  } else if (order.do === 'probe') {
    for (let probe = 0; probe < order.jobs; probe++) {
      await side.enqueue([now()]);
      await sleep(order.pause_us / 1000);
    }
    answer.jobs = order.jobs;
  } else if (order.do === 'work') {
    await side.work(order.concurrency);
    working = true;
  } else if (order.do === 'stop') {
    await Promise.race([side.stop(), sleep(3000)]);
    answer.waits_us = tally.waits.splice(0);
  }
  if (working) Object.assign(answer, { jobs: tally.jobs, first_us: tally.first, last_us: tally.last });
  return answer;
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = await obey(JSON.parse(line));
  } catch (error) {
    answer = { error: String(error?.stack ?? error) };
  }
  process.stdout.write(JSON.stringify(answer) + '\n');
}
process.exit(0);

import { Worker } from 'node:worker_threads';
import { onTestFinished } from 'vitest';

/** Not by its name, which is its sources to whoever runs tests. */
const posix = new URL('../node_modules/@godwit/posix/dist/index.js', import.meta.url).href;

/** A function that another thread runs. */
export interface WorkerTask {
  /** Files of core's build whose exports it uses, as in `memory/page-bitmap`. */
  readonly modules?: readonly string[];
  readonly data?: unknown;
  /** Of a function of `lib` (the exports, posix's among them), `data` and `tell(event)`. */
  readonly body: string;
}

/** The thread and what comes of it; it has ended when the test has. */
export interface WorkerRun {
  /** Resolves with what `tell` is given first. */
  readonly told: Promise<unknown>;
  /** Resolves with what the function returns. */
  readonly answer: Promise<unknown>;
}

/** Runs a function in another thread, from the build: Workers cannot run TypeScript on Node 20. */
export function inWorker(task: WorkerTask): WorkerRun {
  const files = (task.modules ?? []).map((name) => new URL(`../dist/${name}.js`, import.meta.url));
  const program = `
    const { parentPort, workerData: { urls, data } } = require('node:worker_threads');
    const tell = (event) => parentPort.postMessage({ event });
    Promise.all(urls.map((url) => import(url))).then((all) => {
      const lib = Object.assign({}, ...all);
      parentPort.postMessage({ answer: (() => { ${task.body} })() });
    });`;
  const workerData = { urls: [posix, ...files.map((file) => file.href)], data: task.data };
  const worker = new Worker(program, { eval: true, execArgv: [], workerData });
  onTestFinished(() => worker.terminate().then(() => undefined));
  const told = messageWith('event', worker);
  const answer = messageWith('answer', worker);
  for (const promise of [told, answer]) promise.catch(() => undefined); // a test awaits what it needs
  return { told, answer };
}

/** Listens from the start: several messages may come in one turn. @throws what the thread threw. */
async function messageWith(key: 'event' | 'answer', worker: Worker): Promise<unknown> {
  return await new Promise((resolve, reject) => {
    worker.on('message', (message: Record<string, unknown>) => {
      if (Object.hasOwn(message, key)) resolve(message[key]);
    });
    worker.on('error', reject);
    worker.on('exit', () => reject(new Error('the thread has ended')));
  });
}

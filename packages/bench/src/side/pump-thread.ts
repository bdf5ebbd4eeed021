import { once } from 'node:events';
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';

/** One share of the memory, for one stream. */
export interface PumpShare {
  readonly address: number;
  readonly byteLength: number;
}

/** Out of memory into the stream, or the other way. */
export type PumpWork =
  | { readonly role: 'write' | 'read' }
  /** Reads into memory of its own that is warm, and places from there what is missing. */
  | { readonly role: 'place'; readonly userfaultfd: number };

/** What `threads/pump.ts` is started with. */
export interface PumpData {
  readonly work: PumpWork;
  readonly share: PumpShare;
}

/** Of `monotonicMillis`. */
export interface PumpTimes {
  readonly firstMillis: number;
  readonly lastMillis: number;
}

const require = createRequire(import.meta.url);

/** A thread with a blocking descriptor; it ends by itself after one pump. */
export class PumpThread {
  readonly #worker: Worker;

  private constructor(worker: Worker) {
    this.#worker = worker;
  }

  /** @returns once it waits for its descriptor: starting it must not be measured. */
  static async start(data: PumpData): Promise<PumpThread> {
    const file = require.resolve('#threads/pump');
    const worker = new Worker(file, { workerData: data, name: 'pump', execArgv: [] });
    await once(worker, 'message');
    return new PumpThread(worker);
  }

  /** @throws {Error} the other side left early. */
  async run(descriptor: number): Promise<PumpTimes> {
    const done = once(this.#worker, 'message');
    this.#worker.postMessage(descriptor);
    const [times] = (await done) as [PumpTimes];
    return times;
  }
}

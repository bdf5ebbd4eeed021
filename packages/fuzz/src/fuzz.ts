import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import type { Plan } from './plan.ts';
import type { WorkerNews, WorkerOrder } from './worker.ts';

export interface FuzzOptions {
  readonly seed: number;
  readonly millis: number;
  /** Runs this one alone, to see it again. */
  readonly plan?: Plan;
  /** Told of each migration that led somewhere new. */
  readonly onNews?: (signatures: readonly string[]) => void;
}

/** A promise that did not hold, and how to see it again. */
export interface Finding {
  readonly what: string;
  readonly plan: Plan | undefined;
}

export interface FuzzResult {
  readonly migrations: number;
  readonly links: number;
  /** Ends that no migration before had. */
  readonly signatures: number;
  readonly finding: Finding | undefined;
}

/** A migration of few pages with hostile links takes seconds; after so long a process has hung. */
const SILENCE_MILLIS = 120_000;

const require = createRequire(import.meta.url);

/** Real migrations with hostile peers, in a process of their own, until time is up or something is found. */
export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  const child = fork(require.resolve('#worker'), {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    execArgv: [],
  });
  const { seed, millis, plan } = options;
  child.send({ seed, millis, ...(plan === undefined ? {} : { plan }) } satisfies WorkerOrder);
  return await new Watch(child, options).result();
}

class Watch {
  #migrations = 0;
  #links = 0;
  #signatures = 0;
  #plan: Plan | undefined;
  #what: string | undefined;
  #isDone = false;
  #errors = '';
  #silence: NodeJS.Timeout | undefined;
  readonly #child: ChildProcess;
  readonly #options: FuzzOptions;

  constructor(child: ChildProcess, options: FuzzOptions) {
    this.#child = child;
    this.#options = options;
    child.stderr?.on(
      'data',
      (chunk: Buffer) => (this.#errors = (this.#errors + chunk.toString()).slice(-4000)),
    );
    child.on('message', (news: WorkerNews) => this.#hear(news));
  }

  async result(): Promise<FuzzResult> {
    this.#listenOn();
    const [code, signal] = (await once(this.#child, 'exit')) as [number | null, string | null];
    clearTimeout(this.#silence);
    if (!this.#isDone) this.#what ??= `the process ended (${signal ?? code}): ${this.#errors}`;
    const finding = this.#what === undefined ? undefined : { what: this.#what, plan: this.#plan };
    return {
      migrations: this.#migrations,
      links: this.#links,
      signatures: this.#signatures,
      finding,
    };
  }

  #listenOn(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      this.#what ??= `nothing was heard for ${SILENCE_MILLIS} ms`;
      this.#child.kill('SIGKILL');
    }, SILENCE_MILLIS);
  }

  #hear(news: WorkerNews): void {
    this.#listenOn();
    switch (news.type) {
      case 'begins':
        this.#plan = news.plan;
        return;
      case 'ends':
        this.#migrations += 1;
        this.#links += news.links;
        this.#signatures += news.signatures.length;
        if (news.isNew) this.#options.onNews?.(news.signatures);
        return;
      case 'finding':
        this.#what = news.what;
        return;
      case 'done':
        this.#isDone = true;
        return;
    }
  }
}

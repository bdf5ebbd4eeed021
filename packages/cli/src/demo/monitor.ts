import { setTimeout as sleep } from 'node:timers/promises';

import type { SpawnedGuest } from '@godwit/chaos';
import type { QmpEvent } from '@godwit/qmp';

import type { DemoDisplay } from './demo-display.ts';
import type { DemoState, LogEntry, SideName } from './demo-state.ts';

import { PhaseTrack } from './phase-track.ts';
import { RateWindow } from '../rate-window.ts';
import { Side } from './side.ts';

const POLL_MILLIS = 20;
const RATE_WINDOW_MILLIS = 400;

export interface MonitorOptions {
  readonly title: string;
  readonly source: SpawnedGuest<SideName>;
  readonly destination: SpawnedGuest<SideName>;
  readonly display: DemoDisplay;
  readonly startedMillis: number;
  /** Ends every wait, with its reason. */
  readonly signal: AbortSignal;
}

export interface Awaited {
  /** Completes "waited N ms for …". */
  readonly what: string;
  readonly limitMillis: number;
  readonly holds: () => boolean;
  /** Give up if a side is paused after this, on the clock of `performance.now`; 0: at all. */
  readonly notPausedSince?: number;
}

/** Watches both processes through their QMP alone, keeps the display current, waits for things. */
export class Monitor implements AsyncDisposable {
  readonly source: Side;
  readonly destination: Side;
  readonly track = new PhaseTrack();
  #passes = 0;
  readonly #options: MonitorOptions;
  readonly #log: LogEntry[] = [];
  readonly #rate = new RateWindow(RATE_WINDOW_MILLIS);
  readonly #stop = new AbortController();
  readonly #polling: Promise<void>;
  /** Why the processes cannot be asked any more. */
  #failure: Error | undefined;
  /** Called after each poll and each event. */
  readonly #watchers = new Set<() => void>();

  constructor(options: MonitorOptions) {
    this.#options = options;
    this.source = new Side(options.source);
    this.destination = new Side(options.destination);
    for (const side of this.#sides) {
      side.process.client.on('event', (event) => this.#take(side, event));
    }
    this.#polling = this.#poll();
  }

  /** How many passes of precopy have begun. */
  get passes(): number {
    return this.#passes;
  }

  get elapsedMillis(): number {
    return performance.now() - this.#options.startedMillis;
  }

  log(text: string, who: SideName | 'demo' = 'demo'): void {
    this.#log.push({ millis: this.elapsedMillis, who, text });
    this.#show();
  }

  /**
   * Looks after every event and every POLL_MILLIS whether it holds.
   *
   * @throws {Error} time is up; a side has failed, or is paused when it must not be, with its
   *   error-desc; a process is lost; or the reason of the signal.
   */
  async until(awaited: Awaited): Promise<void> {
    const { what, limitMillis, holds } = awaited;
    const { signal } = this.#options;
    const deadline = AbortSignal.timeout(limitMillis);
    const either = AbortSignal.any([signal, deadline]);
    for (;;) {
      signal.throwIfAborted();
      if (this.#failure !== undefined) throw this.#failure;
      if (holds()) return;
      if (this.#isHopeless(awaited)) {
        throw new Error(`it is no use waiting for ${what}: ${this.#describe()}`);
      }
      if (deadline.aborted) {
        throw new Error(`waited ${limitMillis} ms for ${what}: ${this.#describe()}`);
      }
      await this.#change(either);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#polling;
    this.#show();
  }

  get #sides(): readonly Side[] {
    return [this.source, this.destination];
  }

  /** Judged by what was asked, not by events: the answer has the error-desc. */
  #isHopeless({ notPausedSince }: Awaited): boolean {
    return this.#sides.some((side) => {
      const { status } = side.info;
      if (status === 'failed' || status === 'cancelled') return true;
      if (status !== 'postcopy-paused' || notPausedSince === undefined) return false;
      return side.enteredMillis(status) > notPausedSince;
    });
  }

  #describe(): string {
    return this.#sides.map((side) => side.describe()).join('; ');
  }

  /** Resolves at the next poll or event, or when the signal aborts. */
  async #change(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#watchers.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#watchers.add(done);
      signal.addEventListener('abort', done);
      if (signal.aborted) done();
    });
  }

  async #poll(): Promise<void> {
    const { signal } = this.#stop;
    try {
      while (!signal.aborted) {
        await Promise.all(this.#sides.map((side) => side.ask(signal)));
        const { ram } = this.source.info;
        if (ram !== undefined) {
          this.track.progress(ram.remaining);
          this.#rate.add(ram.transferred, this.elapsedMillis);
        }
        this.#changed();
        await sleep(POLL_MILLIS, undefined, { signal });
      }
    } catch (error) {
      if (signal.aborted) return;
      this.#failure = error as Error; // of QmpClient: always an Error
      this.#changed();
    }
  }

  #take(side: Side, event: QmpEvent): void {
    const told = side.take(event);
    if (side === this.source) this.#follow(event);
    if (told !== undefined) this.log(told, side.process.name);
    this.#changed();
  }

  /** The source says which phase it is in. */
  #follow({ event, data }: QmpEvent): void {
    if (event === 'MIGRATION') this.track.status(this.source.status, this.elapsedMillis);
    if (event !== 'MIGRATION_PASS') return;
    // Later ones are the last sync, of a guest that stands still.
    if (this.source.status !== 'active') return;
    this.#passes = Number(data?.['pass']);
    this.track.pass(this.#passes, this.elapsedMillis);
  }

  #changed(): void {
    for (const done of this.#watchers) done();
    this.#show();
  }

  #show(): void {
    this.#options.display.show({
      title: this.#options.title,
      elapsedMillis: this.elapsedMillis,
      source: this.source.state,
      destination: this.destination.state,
      phases: this.track.phases,
      log: this.#log,
      bytesPerSecond: this.#rate.perSecond,
      faults: this.destination.faults,
    } satisfies DemoState);
  }
}

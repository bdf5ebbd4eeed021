import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { FullScreen } from '../full-screen.ts';
import { painterFor, wantsColours } from '../painter.ts';
import { watchKey, watchLine } from './watch-line.ts';
import { mapCells, watchLines } from './watch-screen.ts';
import { WatchHistory, type WatchState } from './watch-state.ts';
import type { SideView, WatchedSide } from './watched-side.ts';

/** Between two lines of a log in which no state changes. */
const LINE_MILLIS = 1000;

export interface WatchOptions {
  readonly intervalMillis: number;
  readonly json: boolean;
  /** Ends it well. */
  readonly signal: AbortSignal;
}

interface Display extends Disposable {
  /** Of the page map that is to be asked for; 0: none. */
  readonly cells: number;
  show(state: WatchState, views: readonly SideView[]): void;
}

/**
 * Shows how the sides stand, again and again.
 *
 * @throws {Error} no side can be asked any more; the terminal is as it was.
 */
export async function watch(sides: readonly WatchedSide[], options: WatchOptions): Promise<void> {
  const { signal, intervalMillis } = options;
  const started = performance.now();
  const history = new WatchHistory();
  using display = openDisplay(process.stdout, options.json);
  while (!signal.aborted) {
    const views = await look(sides, display.cells, signal);
    if (views === undefined) return;
    display.show(history.next(views, performance.now() - started), views);
    if (views.every(({ lost }) => lost !== undefined)) {
      throw new Error(`nobody is left to ask: ${views.map(({ lost }) => lost).join('; ')}`);
    }
    await rest(intervalMillis, signal);
  }
}

/** @returns nothing when the signal came first: a process that hangs is not waited for. */
async function look(
  sides: readonly WatchedSide[],
  cells: number,
  signal: AbortSignal,
): Promise<readonly SideView[] | undefined> {
  try {
    return await Promise.all(sides.map(async (side) => await side.ask(cells, { signal })));
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  }
}

function openDisplay(output: NodeJS.WriteStream, json: boolean): Display {
  if (json) return new JsonDisplay();
  const isScreen = output.isTTY && process.env['TERM'] !== 'dumb';
  return isScreen ? new ScreenDisplay(output) : new LineDisplay();
}

class ScreenDisplay implements Display {
  readonly #output: NodeJS.WriteStream;
  readonly #screen: FullScreen;
  #state: WatchState | undefined;
  /** What was drawn for another size is spoilt. */
  readonly #redraw = (): void => {
    if (this.#state !== undefined) this.#draw(this.#state);
  };

  constructor(output: NodeJS.WriteStream) {
    this.#output = output;
    this.#screen = new FullScreen(output);
    output.on('resize', this.#redraw);
  }

  get cells(): number {
    return mapCells(this.#screen);
  }

  show(state: WatchState): void {
    this.#state = state;
    this.#draw(state);
  }

  [Symbol.dispose](): void {
    this.#output.off('resize', this.#redraw);
    this.#screen.close();
  }

  #draw(state: WatchState): void {
    const { columns, rows } = this.#screen;
    const paint = painterFor(wantsColours(this.#output));
    this.#screen.draw(watchLines(state, { columns, rows }, paint));
  }
}

class LineDisplay implements Display {
  readonly cells = 0;
  #key = '';
  #printedMillis = -Infinity;

  show(state: WatchState): void {
    const key = watchKey(state);
    const isDue = state.elapsedMillis - this.#printedMillis >= LINE_MILLIS;
    if (key === this.#key && !isDue) return;
    this.#key = key;
    this.#printedMillis = state.elapsedMillis;
    console.log(watchLine(state));
  }

  [Symbol.dispose](): void {}
}

class JsonDisplay implements Display {
  readonly cells = 0;
  #last = '';

  show(_state: WatchState, views: readonly SideView[]): void {
    const text = views.map((view) => JSON.stringify(statusDocument(view))).join('\n');
    if (text !== this.#last) console.log(text);
    this.#last = text;
  }

  [Symbol.dispose](): void {}
}

/** What `godwit status --json` says of a side, on one line. */
export function statusDocument({ qmp, run, migrate, lost }: SideView): object {
  return { qmp, status: run, migrate, ...(lost === undefined ? {} : { lost }) };
}

async function rest(millis: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const woken = new AbortController();
  const stopped = once(signal, 'abort', { signal: woken.signal }).catch(() => undefined);
  await Promise.race([sleep(millis, undefined, { signal: woken.signal }), stopped]);
  woken.abort();
}

import { LiveScreen } from '../live-screen.ts';
import { painterFor, wantsColours } from '../painter.ts';
import type { DemoState } from './demo-state.ts';
import { entryLine, progressLine } from './plain-lines.ts';
import { COLUMNS, screenLines } from './screen.ts';

/** Shows the demo while it goes on. */
export interface DemoDisplay extends Disposable {
  /** Called often, at least at every event. */
  show(state: DemoState): void;
}

const ROWS_MIN = 24;
const FRAME_MILLIS = 50;
const PROGRESS_MILLIS = 500;

/** A screen where the output is one, lines for a log otherwise. @param json a document a line. */
export function openDisplay(output: NodeJS.WriteStream, json = false): DemoDisplay {
  if (json) return new JsonDisplay(output);
  const isScreen = output.isTTY && process.env['TERM'] !== 'dumb';
  const fits = output.columns >= COLUMNS && output.rows >= ROWS_MIN;
  return isScreen && fits ? new ScreenDisplay(output) : new LineDisplay(output);
}

class ScreenDisplay implements DemoDisplay {
  readonly #output: NodeJS.WriteStream;
  readonly #screen: LiveScreen;
  #state: DemoState | undefined;
  #drawnMillis = -Infinity;

  constructor(output: NodeJS.WriteStream) {
    this.#output = output;
    this.#screen = new LiveScreen(output);
  }

  show(state: DemoState): void {
    this.#state = state;
    if (state.elapsedMillis - this.#drawnMillis >= FRAME_MILLIS) this.#draw(state);
  }

  [Symbol.dispose](): void {
    if (this.#state !== undefined) this.#draw(this.#state);
    this.#screen.close();
  }

  #draw(state: DemoState): void {
    this.#drawnMillis = state.elapsedMillis;
    this.#screen.draw(screenLines(state, painterFor(wantsColours(this.#output))));
  }
}

class LineDisplay implements DemoDisplay {
  readonly #output: NodeJS.WritableStream;
  #entries = 0;
  #progressMillis = 0;

  constructor(output: NodeJS.WritableStream) {
    this.#output = output;
  }

  show(state: DemoState): void {
    for (const entry of state.log.slice(this.#entries)) this.#write(entryLine(entry));
    this.#entries = state.log.length;
    if (state.elapsedMillis - this.#progressMillis < PROGRESS_MILLIS) return;
    this.#progressMillis = state.elapsedMillis;
    const line = progressLine(state);
    if (line !== undefined) this.#write(line);
  }

  [Symbol.dispose](): void {}

  #write(line: string): void {
    this.#output.write(`${line}\n`);
  }
}

class JsonDisplay implements DemoDisplay {
  readonly #output: NodeJS.WritableStream;
  #entries = 0;

  constructor(output: NodeJS.WritableStream) {
    this.#output = output;
  }

  show({ log }: DemoState): void {
    for (const entry of log.slice(this.#entries)) this.#output.write(`${JSON.stringify(entry)}\n`);
    this.#entries = log.length;
  }

  [Symbol.dispose](): void {}
}

import type { WriteStream } from 'node:tty';

const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const CLEAR_TO_LINE_END = '\x1b[K';
const CLEAR_TO_SCREEN_END = '\x1b[J';
/** Around a frame, so that terminals that know it never show half of one. */
const BEGIN_FRAME = '\x1b[?2026h';
const END_FRAME = '\x1b[?2026l';

/**
 * The whole terminal for as long as it is open; what was there before comes back afterwards, however
 * the process ends, and the last frame stands below it.
 */
export class FullScreen implements Disposable {
  readonly #terminal: WriteStream;
  #last: readonly string[] = [];
  #isOpen = true;
  readonly #leave = (): void => this.close();

  constructor(terminal: WriteStream) {
    this.#terminal = terminal;
    terminal.write(ENTER);
    process.once('exit', this.#leave);
  }

  get columns(): number {
    return this.#terminal.columns;
  }

  get rows(): number {
    return this.#terminal.rows;
  }

  /** @param lines no wider than the terminal: lines that wrap would push others down. */
  draw(lines: readonly string[]): void {
    if (!this.#isOpen) return;
    this.#last = lines;
    const frame = lines.slice(0, this.rows).map((line) => `${line}${CLEAR_TO_LINE_END}`);
    // No line feed after the last one: in the last row it would scroll.
    const shown = `${frame.join('\n')}${CLEAR_TO_SCREEN_END}`;
    this.#terminal.write(`${BEGIN_FRAME}${HOME}${shown}${END_FRAME}`);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    process.removeListener('exit', this.#leave);
    this.#terminal.write(`${LEAVE}${this.#last.map((line) => `${line}\n`).join('')}`);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

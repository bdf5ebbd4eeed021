import type { WriteStream } from 'node:tty';

const HIDE_CURSOR = '\x1b[?25l';
const SHOW_CURSOR = '\x1b[?25h';
const CLEAR_TO_LINE_END = '\x1b[K';
const CLEAR_TO_SCREEN_END = '\x1b[J';
/** Before and after a frame, so that terminals that know it never show half of one. */
const BEGIN_FRAME = '\x1b[?2026h';
const END_FRAME = '\x1b[?2026l';

/**
 * Lines at the bottom of a terminal that are drawn over and over. Whatever else is printed
 * meanwhile spoils them; `close` leaves the last frame standing and gives the cursor back.
 */
export class LiveScreen implements Disposable {
  readonly #terminal: WriteStream;
  #drawnLines = 0;
  readonly #showCursor = (): void => {
    this.#terminal.write(SHOW_CURSOR);
  };

  constructor(terminal: WriteStream) {
    this.#terminal = terminal;
    terminal.write(HIDE_CURSOR);
    process.once('exit', this.#showCursor);
  }

  /** @param lines no wider than the terminal: a line that wraps would spoil the count. */
  draw(lines: readonly string[]): void {
    // What does not fit above the last line would scroll away and could not be drawn over.
    const visible = lines.slice(0, Math.max(1, this.#terminal.rows - 1));
    const up = this.#drawnLines === 0 ? '' : `\x1b[${this.#drawnLines}A`;
    const frame = visible.map((line) => `${line}${CLEAR_TO_LINE_END}\n`).join('');
    this.#terminal.write(`${BEGIN_FRAME}${up}\r${frame}${CLEAR_TO_SCREEN_END}${END_FRAME}`);
    this.#drawnLines = visible.length;
  }

  close(): void {
    process.removeListener('exit', this.#showCursor);
    this.#showCursor();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { GuestProcess } from '../support/guest-process.ts';
import { withPair } from '../support/pair.ts';
import { converging } from '../support/parameters.ts';
import { Journal, within } from '../support/wait.ts';

const GODWIT = fileURLToPath(new URL('../../packages/cli/bin/godwit.js', import.meta.url));
const BEGIN_FRAME = '\u001B[?2026h\u001B[H';
const END_FRAME = '\u001B[?2026l';
const ENTER = '\u001B[?1049h\u001B[?25l';
const LEAVE = '\u001B[?25h\u001B[?1049l';
/** util-linux: gives a program a terminal of its own. */
const hasTerminals = spawnSync('script', ['--version']).status === 0;

/** `godwit status --watch` on a terminal of 80 by 24, as seen from outside. */
class WatchTerminal implements Disposable {
  readonly frames = new Journal<string>();
  readonly exited: Promise<number | null>;
  output = '';
  readonly #child: ChildProcess;
  #parsed = 0;

  constructor(...sides: readonly GuestProcess[]) {
    const qmp = sides.map((side) => `--qmp ${side.qmpAddress}`).join(' ');
    const command = `stty cols 80 rows 24; exec ${process.execPath} ${GODWIT} status ${qmp} --watch`;
    const env = { ...process.env, TERM: 'xterm', NO_COLOR: '1' };
    this.#child = spawn('script', ['-qfec', command, '/dev/null'], { env });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#take(text));
    this.exited = once(this.#child, 'close').then(([code]) => {
      this.frames.end(new Error(`the watch has ended: ${this.output.slice(-500)}`));
      return code as number | null;
    });
  }

  /** @returns the first frame from `since` on that has it. */
  async untilShown(text: string | RegExp, since = 0): Promise<string> {
    const isMeant = (frame: string): boolean =>
      typeof text === 'string' ? frame.includes(text) : text.test(frame);
    const at = await this.frames.find(isMeant, { since, what: `a frame with ${text}` });
    return this.frames.entries[at] as string;
  }

  type(text: string): void {
    this.#child.stdin?.write(text);
  }

  [Symbol.dispose](): void {
    this.#child.kill('SIGKILL');
  }

  #take(text: string): void {
    this.output += text;
    for (;;) {
      const begin = this.output.indexOf(BEGIN_FRAME, this.#parsed);
      const end = this.output.indexOf(END_FRAME, begin);
      if (begin < 0 || end < 0) return;
      this.#parsed = end + END_FRAME.length;
      const frame = this.output.slice(begin + BEGIN_FRAME.length, end);
      this.frames.add(frame.replaceAll('\u001B[K', '').replaceAll('\u001B[J', ''));
    }
  }
}

const guest = { workload: 'zipf', rate: 5000, memory: '64M' } as const;
const slow = { 'max-bandwidth': 10_000_000, 'downtime-limit': 0 };

test.skipIf(!hasTerminals)(
  'a migration is seen from before it begins to its end, on both sides',
  async () => {
    await withPair({ ...guest, parameters: slow }, async (pair) => {
      using terminal = new WatchTerminal(pair.source, pair.destination);
      await terminal.untilShown(/source +none +guest running/);
      await pair.migrate();
      const frame = await terminal.untilShown(/pass [12] .*left[\s\S]*received [1-9]\d? %/);
      const lines = frame.split('\r\n');
      expect(lines.length).toBeLessThanOrEqual(24);
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
      expect(frame).toMatch(/source +active +guest running/);
      expect(frame).toMatch(/destination +active +guest inmigrate/);
      expect(frame).toMatch(/bandwidth .*limit 10\.0 MB\/s/);
      await pair.source.setParameters(converging);
      await pair.waitForBoth('completed');
      await terminal.untilShown(/received 100 %[\s\S]*missing 0 %/);

      terminal.type('\u0003'); // Ctrl-C
      expect(await within(terminal.exited, 'the end of the watch')).toBe(0);
      expect(terminal.output).toContain(ENTER);
      const after = terminal.output.slice(terminal.output.indexOf(LEAVE) + LEAVE.length);
      expect(after).toMatch(/^godwit status {2}completed/); // the last frame stays to be read
      expect(after).not.toContain('\u001B[');
    });
  },
);

test.skipIf(!hasTerminals)(
  'a process that is gone is said to be, and the last one ends the watch',
  async () => {
    await withPair(guest, async (pair) => {
      using terminal = new WatchTerminal(pair.source, pair.destination);
      await terminal.untilShown(/destination +setup/);
      await pair.kill(pair.destination);
      const frame = await terminal.untilShown('QMP lost');
      expect(frame).toMatch(/source +none +guest running/);
      await pair.kill(pair.source);
      expect(await within(terminal.exited, 'the end of the watch')).toBe(1);
      expect(terminal.output).toContain(LEAVE);
      expect(terminal.output).toContain('godwit: nobody is left to ask');
    });
  },
);

test.skipIf(!hasTerminals)('Ctrl-C ends a watch of a process that does not answer', async () => {
  await withPair(guest, async (pair) => {
    using terminal = new WatchTerminal(pair.source);
    await terminal.untilShown(/source +none +guest running/);
    process.kill(pair.source.pid, 'SIGSTOP');
    try {
      terminal.type('\u0003');
      expect(await within(terminal.exited, 'the end of the watch')).toBe(0);
      expect(terminal.output).toContain(LEAVE);
    } finally {
      process.kill(pair.source.pid, 'SIGCONT');
    }
  });
});

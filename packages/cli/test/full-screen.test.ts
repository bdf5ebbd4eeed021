import { EventEmitter } from 'node:events';
import type { WriteStream } from 'node:tty';

import { expect, test } from 'vitest';

import { FullScreen } from '../src/full-screen.ts';

/** A terminal of three rows that keeps what is written to it. */
class Terminal extends EventEmitter {
  readonly columns = 20;
  readonly rows = 3;
  written = '';

  write(text: string): boolean {
    this.written += text;
    return true;
  }

  /** What came since the last look, with names for the sequences. */
  take(): string {
    const names = {
      '\u001B[?1049h': '<other screen>',
      '\u001B[?1049l': '<screen as before>',
      '\u001B[?25l': '<cursor off>',
      '\u001B[?25h': '<cursor on>',
      '\u001B[?2026h': '<frame>',
      '\u001B[?2026l': '</frame>',
      '\u001B[H': '<home>',
      '\u001B[K': '',
      '\u001B[J': '<clear rest>',
    };
    let text = this.written;
    this.written = '';
    for (const [sequence, name] of Object.entries(names)) text = text.replaceAll(sequence, name);
    return text;
  }
}

function open() {
  const terminal = new Terminal();
  // What it uses of a terminal is there.
  return { terminal, screen: new FullScreen(terminal as unknown as WriteStream) };
}

test('frames are drawn over each other, never past the last row, and the last one stays', () => {
  const { terminal, screen } = open();
  expect(terminal.take()).toBe('<other screen><cursor off>');
  screen.draw(['a', 'b', 'c', 'below']);
  expect(terminal.take()).toBe('<frame><home>a\nb\nc<clear rest></frame>');
  screen.draw(['x']);
  expect(terminal.take()).toBe('<frame><home>x<clear rest></frame>');
  screen.close();
  expect(terminal.take()).toBe('<cursor on><screen as before>x\n');
});

test('the terminal is given back once, and nothing is drawn afterwards', () => {
  const before = process.listenerCount('exit');
  const { terminal, screen } = open();
  expect(process.listenerCount('exit')).toBe(before + 1); // however the process ends
  screen.close();
  terminal.take();
  screen.close();
  screen.draw(['late']);
  expect(terminal.take()).toBe('');
  expect(process.listenerCount('exit')).toBe(before);
});

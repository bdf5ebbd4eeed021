import { stripVTControlCharacters } from 'node:util';

import { expect, test } from 'vitest';

import type { DemoState } from '../../src/demo/demo-state.ts';
import { COLUMNS, screenLines } from '../../src/demo/screen.ts';
import { painterFor } from '../../src/painter.ts';
import { stateExample } from './state-example.ts';

const noColours = painterFor(false);

test('one screen shows both sides, every phase and what happened last', () => {
  const lines = screenLines(stateExample, noColours).map((line) => line.trimEnd());
  expect(lines).toEqual([
    'godwit demo: 256 MiB, zipf, unix, postcopy, 1 cut                          3.5 s',
    '',
    ' source       postcopy-active         guest finish-migrate    pid 1234',
    ' destination  postcopy-active         guest running           pid 1235',
    '',
    ' precopy pass 1  ██████████████████████ 100 %  260 MiB  800 ms',
    ' postcopy        ███████████░░░░░░░░░░░  50 %  100 MiB  1.00 s, cut',
    ' recovery 1      █████▌░░░░░░░░░░░░░░░░  25 % 50.0 MiB  61.0 MB/s, up in 3.10 ms',
    '',
    '',
    '',
    '',
    ' faults served   1234     guest waited for a page: p50 85.0 µs, p99 2.30 ms',
    '',
    '   2.4 s  demo         the link is cut',
    '   2.4 s  source       postcopy-paused',
    '',
    '',
    '',
    '',
    '',
  ]);
});

/** Whatever QMP may say, and more of everything than there is room for. */
const crowded: DemoState = {
  ...stateExample,
  title: 'x'.repeat(200),
  elapsedMillis: 12_345_678,
  source: { pid: 4_194_304, status: 'postcopy-recover-setup-and-more', runState: 'y'.repeat(50) },
  phases: Array.from({ length: 20 }, (_, index) => ({
    name: `recovery number ${index}`,
    totalBytes: 1023.4 * 1024 ** 2,
    remainingBytes: 1,
    beganMillis: 0,
    endedMillis: undefined,
    isBroken: false,
    note: 'a note that is much too long for its place',
  })),
  log: Array.from({ length: 50 }, () => ({
    millis: 12_345_678,
    who: 'destination' as const,
    text: 'z'.repeat(200),
  })),
  faults: { served: 12_345_678, p50Millis: 123.4, p99Millis: 59_000 },
};

test('no line is wider than the screen, and the height never changes', () => {
  const lines = screenLines(crowded, noColours);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(COLUMNS);
  expect(lines.length).toBe(screenLines(stateExample, noColours).length);
  expect(lines.length).toBeLessThan(24);
});

test('colours change nothing but colours', () => {
  const coloured = screenLines(stateExample, painterFor(true));
  expect(coloured.join('\n')).toContain('\u001B[');
  expect(coloured.map(stripVTControlCharacters)).toEqual(screenLines(stateExample, noColours));
});

import { stripVTControlCharacters } from 'node:util';

import { expect, test } from 'vitest';

import { painterFor } from '../../src/painter.ts';
import { mapCells, watchLines } from '../../src/watch/watch-screen.ts';
import { watchKey, watchLine } from '../../src/watch/watch-line.ts';
import type { WatchState } from '../../src/watch/watch-state.ts';
import { destination, precopy, ram, source } from './view-example.ts';

const plain = painterFor(false);

test('80 columns by 24 rows show all of it, and fill the screen', () => {
  const lines = watchLines(precopy, { columns: 80, rows: 24 }, plain);
  expect(lines).toHaveLength(24);
  expect(lines.slice(0, 8)).toEqual([
    'godwit status  active                                                     12.3 s',
    '',
    ' source       active                  guest running          A',
    ' destination  active                  guest inmigrate        B',
    '',
    ' pass 3       ███████████░░░░░░░░░░░  50 %  100 MiB of 200 MiB left',
    ' bandwidth    ███████████████▌░░░░░░ 95.3 MB/s  limit 134 MB/s, 200 MiB sent',
    ' guest writes ███████▍░░░░░░░░░░░░░░ 45.1 MB/s  11000 pages/s',
  ]);
  const text = lines.join('\n');
  expect(text).toContain(' downtime     25.0 ms expected, limit 300 ms   migration for 1.23 s');
  expect(text).toContain(' faults       1845 served, 400/s   p50 332 µs  p99 7.51 ms  max 9.10 ms');
  expect(text).toMatch(
    / █ received 50 % · missing 50 % ▒ dirty 4 % x faulted \d+ ! waiting 1 ▄ partly$/m,
  );
  expect(text).toContain('████▒████████▒');
});

test('figures as wide as they come fit beside their bars in 80 columns', () => {
  const wide = {
    ...source,
    migrate: { ...source.migrate, ram: { ...ram, transferred: 1023 * 1024 ** 2 } },
    parameters: { 'max-bandwidth': 20_000_000 },
  };
  const lines = watchLines({ ...precopy, source: wide }, { columns: 80, rows: 24 }, plain);
  expect(lines[6]).toMatch(/limit 20\.0 MB\/s, .* sent$/);
});

test.each([
  [200, 60],
  [80, 24],
  [80, 16],
  [60, 12],
  [40, 8],
  [20, 3],
  [1, 1],
])('%i columns and %i rows are enough for something, and never exceeded', (columns, rows) => {
  const lines = watchLines(precopy, { columns, rows }, plain);
  expect(lines.length).toBeLessThanOrEqual(rows);
  expect(lines[0]?.slice(0, 6)).toBe(
    'godwit status'.slice(0, Math.min(6, Math.max(0, columns - 1))) + (columns < 6 ? '…' : ''),
  );
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
  expect(mapCells({ columns, rows })).toBeGreaterThan(0);
});

test('colours change nothing but colours', () => {
  const size = { columns: 80, rows: 24 };
  const coloured = watchLines(precopy, size, painterFor(true));
  expect(coloured.map((line) => stripVTControlCharacters(line).trimEnd())).toEqual(
    watchLines(precopy, size, plain),
  );
  expect(coloured.join('')).toContain('\u001B[');
});

test('with fewer rows the histogram goes first, and the states stay', () => {
  const text = watchLines(precopy, { columns: 80, rows: 14 }, plain).join('\n');
  expect(text).toContain('destination  active');
  expect(text).toContain('1845 served');
  expect(text).not.toContain('128 µs');
  expect(text).toContain('received 50 %');
});

test('a lost QMP connection and the reason of a pause are said', () => {
  const state: WatchState = {
    ...precopy,
    source: {
      ...source,
      migrate: { status: 'postcopy-paused', 'error-desc': 'the link broke', ram },
    },
    destination: { ...destination, lost: 'unix:/tmp/b.qmp has closed the connection' },
  };
  const text = watchLines(state, { columns: 80, rows: 24 }, plain).join('\n');
  expect(text).toContain('because the link broke');
  expect(text).toContain('QMP lost: unix:/tmp/b.qmp has closed the connection');
  expect(text).not.toContain('bandwidth'); // nothing flows
});

test('before any migration there are the guests, and no map', () => {
  const { pageMap: _map, ...bare } = source;
  const state = { ...precopy, source: { ...bare, migrate: {} }, destination: undefined };
  const { destination: _none, ...alone } = state;
  const lines = watchLines(alone, { columns: 80, rows: 24 }, plain);
  expect(lines.map((line) => line.trimEnd())).toEqual([
    'godwit status  none                                                       12.3 s',
    '',
    ' source       none                    guest running          A',
  ]);
});

test('a log has the same in a line, and a new one when a state changes', () => {
  expect(watchLine(precopy)).toBe(
    '  12.3 s  source active (running)  destination active (inmigrate)  pass 3  100 MiB left  ' +
      '95.3 MB/s  50 % here  1845 faults, p50 332 µs',
  );
  const later = { ...precopy, elapsedMillis: 13_000, bytesPerSecond: 1 };
  expect(watchKey(later)).toBe(watchKey(precopy));
  const lost = { ...precopy, destination: { ...destination, lost: 'gone' } };
  expect(watchKey(lost)).not.toBe(watchKey(precopy));
});

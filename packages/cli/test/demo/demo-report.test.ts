import { expect, test } from 'vitest';

import { type DemoResult, isProved, reportLines } from '../../src/demo/demo-report.ts';

const result: DemoResult = {
  precopy: false,
  passes: 2,
  info: { status: 'completed', downtime: 3, 'x-downtime-us': 2345 },
  faults: { served: 1234, p50Millis: 0.085, p99Millis: 2.3 },
  recoveryMillis: [3.1],
  totalMillis: 4530,
  sourceRunState: 'postmigrate',
  destinationRunState: 'running',
  sourceResumeCount: 0,
  verified: { ok: true, 'pages-checked': 66_560, 'pages-bad': 0, 'bad-pages': [] },
};

test('a guest that arrived whole and runs once is proved', () => {
  expect(isProved(result)).toBe(true);
  expect(reportLines(result)).toEqual([
    ' precopy        2 passes',
    ' sent           unknown',
    ' downtime       2.35 ms',
    ' faults served  1234, p50 85.0 µs, p99 2.30 ms',
    ' recoveries     1; resume command to both sides active: 3.10 ms',
    ' total          4.53 s, start of the processes included',
    ' owner          one: source postmigrate, destination running',
    ' proof          verified 66560 of 66560 pages: every byte is right',
  ]);
});

test.each([
  ['the source runs', { sourceRunState: 'running' }],
  ['the source ran again for a moment', { sourceResumeCount: 1 }],
  ['the destination does not run', { destinationRunState: 'paused' }],
])('nothing is proved when %s', (_case, wrong) => {
  const doubtful = { ...result, ...wrong };
  expect(isProved(doubtful)).toBe(false);
  expect(reportLines(doubtful).join('\n')).toMatch(/^ owner {10}WRONG: source /m);
});

test('a wrong page is named, and nothing is proved', () => {
  const page = { block: 'pc.ram', page: 7 };
  const verified = { ok: false, 'pages-checked': 66_560, 'pages-bad': 1, 'bad-pages': [page] };
  const wrong = { ...result, verified };
  expect(isProved(wrong)).toBe(false);
  expect(reportLines(wrong).at(-1)).toBe(
    ' proof          WRONG: 1 of 66560 pages; the first: [{"block":"pc.ram","page":7}]',
  );
});

test('many recoveries are told by their extremes, within the screen', () => {
  const lines = reportLines({ ...result, recoveryMillis: [30, 3, 12] });
  const text = ' recoveries     3; resume command to both sides active: 3.00 ms to 30.0 ms';
  expect(lines).toContain(text);
  expect(text.length).toBeLessThanOrEqual(80);
});

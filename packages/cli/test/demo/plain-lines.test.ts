import { expect, test } from 'vitest';

import { entryLine, progressLine } from '../../src/demo/plain-lines.ts';
import { stateExample } from './state-example.ts';

test('a line for the log says when, who and what', () => {
  const line = entryLine({ millis: 1234.4, who: 'destination', text: 'postcopy-active' });
  expect(line).toBe('   1.234 s  destination  postcopy-active');
});

test('progress is told of the phase that lasts', () => {
  expect(progressLine(stateExample)).toBe(
    '   3.456 s  recovery 1      ██▌░░░░░░░  25 %  of 50.0 MiB  61.0 MB/s  1234 faults',
  );
});

test('between phases there is no progress to tell', () => {
  expect(progressLine({ ...stateExample, phases: stateExample.phases.slice(0, 2) })).toBe(
    undefined,
  );
  expect(progressLine({ ...stateExample, phases: [] })).toBe(undefined);
});

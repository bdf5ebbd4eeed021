import { type Fault, faultKinds, planRun, type RunResult } from '@godwit/chaos';
import { expect, test } from 'vitest';

import { chooseKinds } from '../../src/chaos/chaos.ts';
import { ChaosSummary, describeFault, runLine } from '../../src/chaos/chaos-lines.ts';

const offers = {
  linkTimeoutMillis: 2000,
  checksum: true,
  memoryModes: ['userfault', 'portable'],
} as const;
const cut: Fault = {
  kind: 'cut-rst',
  point: { direction: 'to-destination', frame: 'PAGES', nth: 3 },
  at: 'before',
};

function result(changes: Partial<RunResult> = {}): RunResult {
  const plan = { ...planRun(7, ['cut-rst'], offers), mode: 'postcopy' as const, channels: 0 };
  const outcomes = ['paused', 'completed'] as const;
  const counts = { recoveries: 1, retries: 0, samples: 12, millis: 1234 };
  return { seed: 7, plan, came: [cut], outcomes, ...counts, found: [], ...changes };
}

test('a line says what was tried, what came about and where that led', () => {
  const line = runLine(2, result());
  expect(line).toMatch(/^run 2 seed 7: postcopy /);
  expect(line).toContain('cut-rst before PAGES 3 → paused, completed · ok in 1.23 s');
  expect(runLine(2, result({ found: ['x'] }))).toContain('FOUND');
  expect(runLine(2, result({ came: [] }))).toContain('nothing came about');
});

test('every kind of fault is told by its name', () => {
  for (const kind of faultKinds) {
    const [fault] = planRun(1, [kind], offers).faults;
    expect(fault && describeFault(fault)).toMatch(new RegExp(`^${kind}`));
  }
});

test('the summary counts runs by their end, and faults by their kind', () => {
  const summary = new ChaosSummary();
  summary.add(result());
  summary.add(result({ came: [cut, cut], outcomes: ['lost'] }));
  summary.add(result({ found: ['a wait in vain'] }));
  expect(summary.lines()).toEqual([
    '3 runs: completed 1, lost 1, found 1',
    'faults that came about: cut-rst 4',
    '3 recoveries, 0 migrations begun anew, asked 36 times who runs the guest',
    'found: 1 run broke a promise',
  ]);
});

test('what was wanted and cannot be tried is said', () => {
  const few = { checksum: false, memoryModes: ['portable'] } as const;
  expect(chooseKinds(few, ['kill', 'black-hole'])).toEqual({
    kinds: ['kill'],
    left: ['black-hole'],
  });
  expect(chooseKinds(few, undefined).left).toEqual(['black-hole']);
  expect(chooseKinds(offers, undefined)).toEqual({ kinds: [...faultKinds], left: [] });
});

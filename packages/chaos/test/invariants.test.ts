import type { QmpClient } from '@godwit/qmp';
import { expect, test } from 'vitest';
import { type Fate, proveStill, unexplained } from '../src/invariants.ts';

/** @param events of QMP, as `RESUME` or the status of a MIGRATION. */
function fate(name: string, how: 'alive' | 'killed' | 'ended', ...events: string[]): Fate {
  return {
    name,
    ranAtFirst: name === 'source',
    endedMicros: how === 'alive' ? undefined : 1,
    isAlive: how === 'alive',
    isKilled: how === 'killed',
    statuses: events.filter((event) => event !== 'RESUME'),
    events: { entries: events.map((event) => ({ name: event, micros: 0 })) },
  };
}

test('a guest that is given up with a process that was killed is explained', () => {
  const source = fate('source', 'alive', 'active', 'device', 'postcopy-paused');
  expect(unexplained([source, fate('destination', 'killed', 'RESUME')], 'stranded')).toEqual([]);
  const other = fate('destination', 'ended', 'setup', 'active', 'failed');
  expect(unexplained([fate('source', 'killed', 'active'), other], 'lost')).toEqual([]);
  expect(unexplained([source, fate('destination', 'killed', 'RESUME')], 'completed')).toEqual([]);
});

test.each(['stranded', 'lost'])('a guest that is %s without that is found', (outcome) => {
  const sides = [fate('source', 'alive', 'postcopy-paused'), fate('destination', 'ended')];
  expect(unexplained(sides, outcome)).toEqual([
    `the guest is ${outcome}, and no process was killed`,
  ]);
});

test('a destination that ends with the guest is found', () => {
  const sides = [fate('source', 'alive', 'completed'), fate('destination', 'ended', 'completed')];
  expect(unexplained(sides, 'completed')).toEqual(['the destination has ended with the guest']);
});

test('a destination that gives up a guest which ran there is found, whoever was killed', () => {
  const sides = [fate('source', 'killed'), fate('destination', 'ended', 'RESUME', 'failed')];
  expect(unexplained(sides, 'lost')).toEqual([
    'the destination has given up a guest that ran there',
  ]);
});

/** A process whose verifier answers so, one after the other. */
function answering(...answers: readonly object[]): Parameters<typeof proveStill>[0] {
  const whole = { ok: true, 'pages-checked': 4, 'pages-bad': 0, steps: [7, 8] };
  const left = [...answers];
  const execute = (): Promise<object> => Promise.resolve({ ...whole, ...left.shift() });
  const qmp = { execute } as unknown as QmpClient;
  return { name: 'source', qmp };
}

test('a guest that has left is still: no vCPU makes a step, no page changes', async () => {
  expect(await proveStill(answering({}, {}))).toEqual([]);
  const goesOn = [expect.stringContaining('the guest that has left the source goes on')];
  expect(await proveStill(answering({}, { steps: [7, 9] }))).toEqual(goesOn);
  expect(await proveStill(answering({}, { ok: false, 'pages-bad': 1 }))).toEqual(goesOn);
});

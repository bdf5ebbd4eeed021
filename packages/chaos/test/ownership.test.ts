import { expect, test } from 'vitest';

import { ranTwice, type Told } from '../src/ownership.ts';

function side(name: string, ranAtFirst: boolean, told: string, endedMicros?: number): Told {
  const entries = told.split(' ').map((word) => {
    const [event = '', micros = ''] = word.split('@');
    return { name: event, micros: Number(micros) };
  });
  return { name, ranAtFirst, endedMicros, events: { entries } };
}

test('a guest that stops here before it runs there has run once', () => {
  expect(ranTwice([side('a', true, 'STOP@10'), side('b', false, 'RESUME@11')])).toBeUndefined();
});

test('a guest that runs there before it has stopped here has run twice', () => {
  const twice = ranTwice([side('a', true, 'STOP@12'), side('b', false, 'RESUME@11')]);
  expect(twice).toContain('the guest ran twice');
});

test('a guest that never stops here must not run there', () => {
  const b = side('b', false, 'RESUME@11');
  expect(ranTwice([side('a', true, 'MIGRATION@5'), b])).toContain('the guest ran twice');
});

test('a process that was killed runs nothing from then on', () => {
  const b = side('b', false, 'RESUME@11');
  expect(ranTwice([side('a', true, 'MIGRATION@5', 10), b])).toBeUndefined();
  expect(ranTwice([side('a', true, 'MIGRATION@5', 12), b])).toContain('the guest ran twice');
});

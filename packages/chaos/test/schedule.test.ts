import fc from 'fast-check';
import { expect, test } from 'vitest';

import { type FaultKind, faultKinds, type Offers, planRun, triableKinds } from '../src/schedule.ts';

const all: Offers = {
  linkTimeoutMillis: 2000,
  checksum: true,
  memoryModes: ['userfault', 'portable'],
};
const few: Offers = { checksum: false, memoryModes: ['portable'] };
const seeds = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const kinds = fc.subarray([...faultKinds], { minLength: 1 });

test('the same seed, kinds and offers give the same plan', () => {
  fc.assert(
    fc.property(seeds, kinds, (seed, some) => {
      expect(planRun(seed, some, all)).toEqual(planRun(seed, some, all));
    }),
  );
});

test('a plan is a document: what it says survives the way through a log', () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const plan = planRun(seed, faultKinds, all);
      expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
    }),
  );
});

test('only faults of the kinds that are wanted are drawn, and each run has one', () => {
  fc.assert(
    fc.property(seeds, kinds, (seed, some) => {
      const { faults } = planRun(seed, some, all);
      expect(faults.length).toBeGreaterThan(0);
      for (const { kind } of faults) expect(some).toContain(kind);
    }),
  );
});

test('a hundred seeds draw every kind, both modes, both transports and both sides', () => {
  const plans = Array.from({ length: 100 }, (_, seed) => planRun(seed, faultKinds, all));
  const faults = plans.flatMap((plan) => plan.faults);
  expect(new Set(faults.map(({ kind }) => kind))).toEqual(new Set<FaultKind>(faultKinds));
  expect(new Set(plans.map(({ mode }) => mode)).size).toBe(2);
  expect(new Set(plans.map(({ transport }) => transport)).size).toBe(2);
  const killed = faults.flatMap((fault) => (fault.kind === 'kill' ? [fault.side] : []));
  expect(new Set(killed)).toEqual(new Set(['source', 'destination']));
});

test('where silence is not noticed no link is silenced, and nobody held for long', () => {
  expect(triableKinds(few)).toEqual(faultKinds.filter((kind) => kind !== 'black-hole'));
  fc.assert(
    fc.property(seeds, (seed) => {
      for (const fault of planRun(seed, ['stop'], few).faults) {
        expect(fault.kind === 'stop' && fault.millis).toBeLessThan(1000);
      }
    }),
  );
});

test('without checksums only the type of a message is corrupted, to none that there is', () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      for (const fault of planRun(seed, ['corrupt'], few).faults) {
        expect(fault).toMatchObject({ offset: 0, mask: 0x80 });
      }
    }),
  );
});

test('a host without userfaultfd gets plans in portable memory', () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      expect(planRun(seed, faultKinds, few).memoryMode).toBe('portable');
    }),
  );
});

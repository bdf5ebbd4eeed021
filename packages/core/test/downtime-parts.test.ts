import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DowntimeClock, downtimePartNames } from '../src/migration/downtime-parts.ts';

/** A clock that stands still until it is told to go on. */
function handClock(): { now: () => number; advance: (millis: number) => void } {
  let millis = 1000;
  return { now: () => millis, advance: (by) => void (millis += by) };
}

test('each part is what went by since the one before, or what a thread measured of itself', () => {
  const { now, advance } = handClock();
  const clock = new DowntimeClock(now);
  advance(0.25);
  clock.partEnds();
  advance(7);
  clock.partEnds();
  advance(3);
  clock.partEnds(0.5);
  clock.partEnds(1);
  clock.partEnds();
  advance(2);
  expect(clock.stop()).toBe(12.25);
  expect(clock.parts()).toEqual({
    'stop-guest': 250,
    'pre-switchover': 7000,
    'final-sync': 500,
    'last-pages': 1000,
    'device-state': 1500, // what the way to the thread and back took, too
    'run-order': 2000,
  });
});

test('the parts add up to the rounded whole, whatever was measured', () => {
  const millis = fc.double({ min: 0, max: 1e4, noNaN: true });
  const ends = fc.array(millis, { maxLength: downtimePartNames.length - 1 });
  fc.assert(
    fc.property(ends, millis, (passed, last) => {
      const { now, advance } = handClock();
      const clock = new DowntimeClock(now);
      for (const by of passed) {
        advance(by);
        clock.partEnds();
      }
      advance(last);
      const total = Math.round(clock.stop() * 1000);
      const parts = Object.values(clock.parts());
      expect(parts).toHaveLength(downtimePartNames.length);
      expect(parts.reduce((sum, micros) => sum + micros, 0)).toBe(total);
    }),
  );
});

test('a downtime that a recovery ends counts its last part until then', () => {
  const { now, advance } = handClock();
  const clock = new DowntimeClock(now);
  for (let part = 0; part < 4; part++) {
    advance(1);
    clock.partEnds();
  }
  advance(5000);
  clock.stop();
  expect(clock.parts()['run-order']).toBe(5_000_000);
});

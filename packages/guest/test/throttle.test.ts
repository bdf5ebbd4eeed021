import { expect, test } from 'vitest';
import { Throttle } from '../src/vcpu/throttle.ts';

test('a throttled vCPU runs 10 ms, then sleeps its share', () => {
  const throttle = new Throttle(100);
  expect(throttle.sleepMillis(50, 109)).toBe(0);
  expect(throttle.sleepMillis(50, 110)).toBe(10);
  throttle.slept(120);
  expect(throttle.sleepMillis(80, 129)).toBe(0);
  expect(throttle.sleepMillis(80, 130)).toBeCloseTo(40);
  throttle.slept(170);
  expect(throttle.sleepMillis(99, 181)).toBeCloseTo(990);
});

test('without a throttle there is no slice that could be over', () => {
  const throttle = new Throttle(0);
  expect(throttle.sleepMillis(0, 5000)).toBe(0);
  expect(throttle.sleepMillis(20, 5001)).toBe(0); // the first slice begins with the throttle
});

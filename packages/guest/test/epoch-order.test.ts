import fc from 'fast-check';
import { expect, test } from 'vitest';
import { coprimeBelow, EpochOrder, multiplyModulo } from '../src/workload/epoch-order.ts';

const anySize = fc.integer({ min: 1, max: 200 });
const anyWord = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const anyEpoch = fc.oneof(fc.nat(1000), fc.integer({ min: 0, max: 2 ** 42 }));

test('every epoch visits every place once', () => {
  fc.assert(
    fc.property(anySize, anyWord, anyEpoch, (size, seed, epoch) => {
      const order = new EpochOrder(size, seed, epoch * size);
      const places = Array.from({ length: size }, () => order.next());
      expect(places.toSorted((a, b) => a - b)).toEqual(Array.from({ length: size }, (_, i) => i));
    }),
  );
});

test('an order begun anywhere goes on as if it had begun there', () => {
  fc.assert(
    fc.property(anySize, anyWord, fc.nat(1000), (size, seed, count) => {
      const walked = new EpochOrder(size, seed, 0);
      for (let visit = 0; visit < count; visit += 1) walked.next();
      const begun = new EpochOrder(size, seed, count);
      for (let visit = 0; visit < 2 * size; visit += 1) expect(begun.next()).toBe(walked.next());
    }),
  );
});

test('epochs differ from one another, and seeds too', () => {
  const epoch = (seed: number, index: number) => {
    const order = new EpochOrder(1000, seed, index * 1000);
    return Array.from({ length: 1000 }, () => order.next()).join(' ');
  };
  const orders = [epoch(1, 0), epoch(1, 1), epoch(1, 2 ** 32), epoch(2, 0)];
  expect(new Set(orders).size).toBe(orders.length);
});

test('without a seed every epoch goes up from 0', () => {
  const order = new EpochOrder(3, undefined, 4);
  expect([order.next(), order.next(), order.next()]).toEqual([1, 2, 0]);
});

test('a drawn stride is prime to the size', () => {
  const divisors = (n: number) =>
    Array.from({ length: n }, (_, i) => i + 1).filter((d) => n % d === 0);
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 300 }), anyWord, (size, bits) => {
      const stride = coprimeBelow(size, bits);
      expect(stride).toBeGreaterThanOrEqual(1);
      expect(stride).toBeLessThan(size);
      expect(divisors(size).filter((divisor) => stride % divisor === 0)).toEqual([1]);
    }),
  );
});

test('products are reduced exactly up to the largest guest', () => {
  const below = fc.nat(2 ** 26 - 1);
  fc.assert(
    fc.property(below, below, fc.integer({ min: 1, max: 2 ** 26 }), (a, b, modulus) => {
      expect(multiplyModulo(a % modulus, b % modulus, modulus)).toBe(
        Number((BigInt(a) * BigInt(b)) % BigInt(modulus)),
      );
    }),
  );
});

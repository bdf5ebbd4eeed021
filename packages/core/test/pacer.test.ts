import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Pacer } from '../src/threads/pacer.ts';

/** What may be sent later in a burst, after the sender was held up. */
const CATCH_UP_MILLIS = 50;

interface Sent {
  readonly millis: number;
  readonly bytes: number;
}

/** A sender that always has more to send, and is late each time by so many milliseconds. */
function send(
  limit: number,
  batchBytes: number,
  delays: readonly number[],
  isLate: 'whenever' | 'after a sleep' = 'whenever',
): Sent[] {
  const pacer = new Pacer();
  const sent: Sent[] = [];
  let now = 1000;
  for (const delay of delays) {
    const wait = pacer.waitMillis(limit, now);
    now += wait;
    if (wait > 0 || isLate === 'whenever') now += delay;
    const bytes = Math.floor(pacer.batchBytes(limit, 4096, batchBytes));
    sent.push({ millis: now, bytes });
    pacer.sent(bytes, now);
  }
  return sent;
}

const limits = fc.integer({ min: 10_000, max: 2_000_000_000 });
const batches = fc.integer({ min: 4096, max: 1024 * 1024 });

test('in any second leaves at most the limit, what is caught up, and one batch', () => {
  const delays = fc.array(
    fc.oneof(
      fc.constant(0),
      fc.double({ min: 0, max: 3, noNaN: true }),
      fc.double({ min: 0, max: 2000, noNaN: true }),
    ),
    { minLength: 1, maxLength: 400 },
  );
  fc.assert(
    fc.property(limits, batches, delays, (limit, batchBytes, late) => {
      const sent = send(limit, batchBytes, late);
      const batch = Math.max(...sent.map(({ bytes }) => bytes));
      const most = limit * (1 + CATCH_UP_MILLIS / 1000) + batch;
      let first = 0;
      let within = 0;
      for (const { millis, bytes } of sent) {
        within += bytes;
        while (millis - (sent[first]?.millis ?? 0) > 1000) within -= sent[first++]?.bytes ?? 0;
        expect(within).toBeLessThanOrEqual(most + 1); // a byte for rounding
      }
    }),
  );
});

test('a sender that always sleeps a little too long still reaches the limit', () => {
  const delays = fc.array(fc.double({ min: 0, max: CATCH_UP_MILLIS - 1, noNaN: true }), {
    minLength: 20,
    maxLength: 300,
  });
  fc.assert(
    fc.property(limits, batches, delays, (limit, batchBytes, late) => {
      const sent = send(limit, batchBytes, late, 'after a sleep');
      const bytes = sent.slice(0, -1).reduce((sum, it) => sum + it.bytes, 0);
      const millis = (sent.at(-1)?.millis ?? 0) - (sent[0]?.millis ?? 0);
      const least = (limit * (millis - CATCH_UP_MILLIS)) / 1000;
      expect(bytes).toBeGreaterThanOrEqual(least - 1); // a byte for rounding
    }),
  );
});

test('however long nothing was sent, no more than 50 ms are caught up', () => {
  const pacer = new Pacer();
  const limit = 1_000_000;
  pacer.waitMillis(limit, 0);
  let burst = 0;
  for (const now = 3_600_000; pacer.waitMillis(limit, now) === 0; burst += 1000) {
    pacer.sent(1000, now);
  }
  expect(burst).toBe(51_000); // 50 ms of the limit, and the batch that goes over it
});

test('what was sent at once is waited for in full', () => {
  const pacer = new Pacer();
  expect(pacer.waitMillis(1_000_000, 5000)).toBe(0);
  pacer.sent(2_000_000, 5000);
  expect(pacer.waitMillis(1_000_000, 5000)).toBe(2000);
  expect(pacer.waitMillis(1_000_000, 6999)).toBe(1);
  expect(pacer.waitMillis(1_000_000, 7000)).toBe(0);
});

test('without a limit nothing waits, and nothing is remembered against a limit that comes', () => {
  const pacer = new Pacer();
  expect(pacer.waitMillis(0, 0)).toBe(0);
  pacer.sent(10 ** 12, 0);
  expect(pacer.waitMillis(0, 1)).toBe(0);
  expect(pacer.waitMillis(1000, 2)).toBe(0);
});

test('a limit that changes holds from then on', () => {
  const pacer = new Pacer();
  pacer.waitMillis(1000, 0);
  pacer.sent(60_000, 0); // a minute at the old limit
  expect(pacer.waitMillis(1_000_000, 10)).toBe(0);
  pacer.sent(10_000, 10);
  expect(pacer.waitMillis(1_000_000, 10)).toBe(10);
  expect(pacer.waitMillis(0, 10)).toBe(0);
});

test('a batch is five milliseconds of the limit, within the given bounds', () => {
  const pacer = new Pacer();
  expect(pacer.batchBytes(10_000_000, 4096, 1_048_576)).toBe(50_000);
  expect(pacer.batchBytes(1000, 4096, 1_048_576)).toBe(4096);
  expect(pacer.batchBytes(10 ** 12, 4096, 1_048_576)).toBe(1_048_576);
  expect(pacer.batchBytes(0, 4096, 1_048_576)).toBe(1_048_576);
});

import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { AutoRecovery, backOffMillis, type RecoveryNews } from '../src/migration/auto-recovery.ts';
import { NextLink } from '../src/migration/next-link.ts';
import { changeParameters, parameterDefaults } from '../src/parameters.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const here = { type: 'unix', path: '/here' } as const;
const there = { type: 'unix', path: '/there' } as const;

/** Without chance: each back-off takes as long as it may. */
function newRecovery(changes: Record<string, number> = {}) {
  const parameters = changeParameters(parameterDefaults, {
    'x-recover-attempts': 3,
    'x-recover-backoff': 100,
    ...changes,
  });
  const news: RecoveryNews[] = [];
  const recovery = new AutoRecovery(
    () => parameters,
    (one) => news.push(one),
    () => 1,
  );
  const attempts = vi.fn<() => void>();
  return { recovery, news, attempts };
}

test('each back-off is told before it begins, and an attempt follows it', () => {
  const { recovery, news, attempts } = newRecovery();
  recovery.schedule(attempts);
  expect(news).toEqual([{ action: 'scheduled', attempt: 1, attempts: 3, delay: 100 }]);
  vi.advanceTimersByTime(99);
  expect(attempts).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(attempts).toHaveBeenCalledOnce();
  recovery.schedule(attempts);
  expect(news.at(-1)).toEqual({ action: 'scheduled', attempt: 2, attempts: 3, delay: 200 });
});

test('after so many attempts it gives up and says so', () => {
  const { recovery, news, attempts } = newRecovery();
  for (let i = 0; i < 4; i += 1) {
    recovery.schedule(attempts);
    vi.runAllTimers();
  }
  expect(attempts).toHaveBeenCalledTimes(3);
  expect(news.at(-1)).toEqual({ action: 'given-up', attempts: 3 });
});

test('a link that stands makes the attempts before it forgotten', () => {
  const { recovery, news, attempts } = newRecovery();
  recovery.schedule(attempts);
  vi.runAllTimers();
  recovery.restart();
  recovery.schedule(attempts);
  expect(news.at(-1)).toMatchObject({ attempt: 1, delay: 100 });
});

test('an attempt that was to follow does not, once it is suspended', () => {
  const { recovery, news, attempts } = newRecovery();
  expect(recovery.suspend()).toBe(false); // nothing to suspend, nothing to tell
  recovery.schedule(attempts);
  expect(recovery.suspend()).toBe(true);
  expect(recovery.suspend()).toBe(false);
  vi.runAllTimers();
  expect(attempts).not.toHaveBeenCalled();
  expect(news.map(({ action }) => action)).toEqual(['scheduled', 'suspended']);
});

test('a back-off doubles, up to its limit, and chance takes at most half of it', () => {
  const unit = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  const millis = fc.integer({ min: 1, max: 600_000 });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1000 }),
      millis,
      millis,
      unit,
      (n, first, max, random) => {
        const whole = Math.min(max, first * 2 ** (n - 1));
        const delay = backOffMillis(n, { firstMillis: first, maxMillis: max, random });
        expect(delay).toBeGreaterThanOrEqual(Math.floor(whole / 2));
        expect(delay).toBeLessThanOrEqual(Math.ceil(whole));
      },
    ),
  );
});

test('the next link is tried where the last one was dialled', async () => {
  const { recovery } = newRecovery();
  const begin = vi.fn<() => void>();
  const nextLink = new NextLink(recovery, begin);
  nextLink.dialled(here);
  nextLink.dialled(there);
  const address = nextLink.address();
  nextLink.tryUnattended();
  expect(begin).not.toHaveBeenCalled();
  vi.runAllTimers();
  expect(await address).toEqual(there);
  expect(begin).toHaveBeenCalledOnce();
  expect(nextLink.isAwaited).toBe(false);
});

test('whoever asks during a back-off is obeyed at once, and nothing follows by itself', async () => {
  const { recovery } = newRecovery();
  const begin = vi.fn<() => void>();
  const nextLink = new NextLink(recovery, begin);
  nextLink.dialled(here);
  const address = nextLink.address();
  nextLink.tryUnattended();
  nextLink.tryAt(there);
  expect(await address).toEqual(there);
  vi.runAllTimers();
  expect(begin).toHaveBeenCalledOnce();
});

test('without the capability nothing happens by itself', () => {
  const begin = vi.fn<() => void>();
  const nextLink = new NextLink(undefined, begin);
  nextLink.dialled(here);
  void nextLink.address();
  nextLink.tryUnattended();
  vi.runAllTimers();
  expect(begin).not.toHaveBeenCalled();
  expect(nextLink.suspend()).toBe(false);
});

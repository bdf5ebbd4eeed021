import { ChannelError } from '@godwit/transport';
import { expect, onTestFinished, test, vi } from 'vitest';
import { upTo, withLimit } from '../src/migration/limit.ts';

const what = "the destination's 'loaded'";
const never = (): Promise<never> => new Promise(() => undefined);

test('what comes in time is handed on, and so is its failure', async () => {
  await expect(withLimit(Promise.resolve(5), { timeoutMillis: 1000, what })).resolves.toBe(5);
  const failure = new Error('no');
  const failed = withLimit(Promise.reject(failure), { timeoutMillis: 1000, what });
  await expect(failed).rejects.toBe(failure);
});

test('what does not come is a timeout that says what was waited for', async () => {
  const error = await withLimit(never(), { timeoutMillis: 5, what }).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(ChannelError);
  expect(error).toMatchObject({
    code: 'ERR_TIMEOUT',
    message: "the destination's 'loaded' did not come within 5 ms",
  });
});

test('an abort ends the wait with its reason', async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const wait = withLimit(never(), { timeoutMillis: 60_000, signal, what });
  const reason = new Error('cancelled');
  controller.abort(reason);
  await expect(wait).rejects.toBe(reason);
});

test('a wait that is aborted before it begins does not begin', async () => {
  const reason = new Error('cancelled');
  const signal = AbortSignal.abort(reason);
  const wait = withLimit(Promise.resolve(5), { timeoutMillis: 60_000, signal, what });
  await expect(wait).rejects.toBe(reason);
});

test('what fails after the wait was given up is no unhandled rejection', async () => {
  const late = await unhandledAfter(async (promise) => {
    const wait = withLimit(promise, { timeoutMillis: 1, what });
    await expect(wait).rejects.toThrow('did not come');
  });
  expect(late).toEqual([]);
  const cancelled = await unhandledAfter(async (promise) => {
    const controller = new AbortController();
    const { signal } = controller;
    const wait = withLimit(promise, { timeoutMillis: 60_000, signal, what });
    controller.abort(new Error('cancelled'));
    await expect(wait).rejects.toThrow('cancelled');
  });
  expect(cancelled).toEqual([]);
});

test('what fails after its wait did not even begin is no unhandled rejection', async () => {
  const unhandled = await unhandledAfter(async (promise) => {
    const signal = AbortSignal.abort(new Error('cancelled'));
    const wait = withLimit(promise, { timeoutMillis: 60_000, signal, what });
    await expect(wait).rejects.toThrow('cancelled');
  });
  expect(unhandled).toEqual([]);
});

test('no timer and no listener outlives the wait', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const controller = new AbortController();
  const { signal } = controller;
  const remove = vi.spyOn(signal, 'removeEventListener');
  await withLimit(Promise.resolve(1), { timeoutMillis: 1000, signal, what });
  expect(vi.getTimerCount()).toBe(0);
  expect(remove).toHaveBeenCalledTimes(1);
  const failing = withLimit(Promise.reject(new Error('no')), { timeoutMillis: 1000, signal, what });
  await expect(failing).rejects.toThrow('no');
  expect(vi.getTimerCount()).toBe(0);
});

/** The rejections that nobody handled, of a promise that fails once its waiter has given up. */
async function unhandledAfter(
  giveUp: (promise: Promise<never>) => Promise<void>,
): Promise<readonly unknown[]> {
  const unhandled: unknown[] = [];
  const listen = (error: unknown): number => unhandled.push(error);
  process.on('unhandledRejection', listen);
  let fail = (_error: Error): void => undefined;
  await giveUp(new Promise<never>((_resolve, reject) => (fail = reject)));
  fail(new Error('too late'));
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', listen);
  return unhandled;
}

test('where time may be up what comes first counts', async () => {
  const { signal } = new AbortController();
  expect(await upTo(Promise.resolve('here'), 60_000, signal)).toBe('here');
  expect(await upTo(new Promise(() => undefined), 1, signal)).toBeUndefined();
  await expect(upTo(Promise.reject(new Error('broken')), 60_000, signal)).rejects.toThrow('broken');
});

test('where time may be up an abort is thrown with its reason, before and meanwhile', async () => {
  const reason = new Error('cancelled');
  await expect(upTo(never(), 60_000, AbortSignal.abort(reason))).rejects.toBe(reason);
  const controller = new AbortController();
  const waiting = upTo(never(), 60_000, controller.signal);
  controller.abort(reason);
  await expect(waiting).rejects.toBe(reason);
});

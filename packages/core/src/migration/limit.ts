import { setTimeout as after } from 'node:timers/promises';
import { ChannelError } from '@godwit/transport';

export interface LimitOptions {
  readonly timeoutMillis: number;
  readonly signal?: AbortSignal | undefined;
  /** What is waited for, for the error: "the destination's 'loaded'". */
  readonly what: string;
}

/**
 * Every wait ends: with the promise, with time, or with an abort (whose reason is thrown). The promise
 * itself goes on; its owner must be ended by other means.
 *
 * @throws {ChannelError} `ERR_TIMEOUT`.
 */
export async function withLimit<T>(promise: Promise<T>, options: LimitOptions): Promise<T> {
  const { timeoutMillis, signal, what } = options;
  promise.catch(() => undefined); // it may fail after we have stopped waiting
  signal?.throwIfAborted();
  let stop = (): void => undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new ChannelError('ERR_TIMEOUT', `${what} did not come within ${timeoutMillis} ms`));
    }, timeoutMillis);
    const abort = (): void => reject(signal?.reason as Error);
    signal?.addEventListener('abort', abort, { once: true });
    stop = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    };
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    stop();
  }
}

/**
 * As `withLimit`, where it is no failure that time is up.
 *
 * @returns what the promise brought, or undefined after so many milliseconds.
 */
export async function upTo<T>(
  promise: Promise<T>,
  millis: number,
  signal: AbortSignal,
): Promise<T | undefined> {
  promise.catch(() => undefined); // it may fail after we have stopped waiting
  const over = new AbortController();
  const options = { signal: AbortSignal.any([signal, over.signal]) };
  try {
    return await Promise.race([promise, after(millis, undefined, options)]);
  } catch (error) {
    signal.throwIfAborted(); // with its reason, where the timer has one of its own
    throw error;
  } finally {
    over.abort();
  }
}

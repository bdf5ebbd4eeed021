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

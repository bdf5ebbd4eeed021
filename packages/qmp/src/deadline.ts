import { QmpSocketError, toError } from './errors.ts';

export interface WaitOptions {
  /** `Infinity` waits for ever. */
  readonly timeoutMillis?: number;
  /** Its reason is what the wait then rejects with. */
  readonly signal?: AbortSignal;
}

/**
 * Gives up on a wait, not on what is waited for: the caller undoes what it can.
 *
 * @param what completes "no … within N ms".
 * @throws {QmpSocketError} `ERR_TIMEOUT`; or the signal's reason.
 */
export async function within<T>(
  waited: Promise<T>,
  what: string,
  options: WaitOptions & { readonly timeoutMillis: number },
): Promise<T> {
  const { timeoutMillis, signal } = options;
  let timer: NodeJS.Timeout | undefined;
  let abort = (): void => undefined;
  const givenUp = new Promise<never>((_, reject) => {
    if (Number.isFinite(timeoutMillis)) {
      timer = setTimeout(() => {
        reject(new QmpSocketError('ERR_TIMEOUT', `no ${what} within ${timeoutMillis} ms`));
      }, timeoutMillis);
    }
    abort = () => reject(toError(signal?.reason));
    if (signal?.aborted === true) abort();
    else signal?.addEventListener('abort', abort);
  });
  try {
    return await Promise.race([waited, givenUp]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}

import { once } from 'node:events';

/** Rejects with the reason of `signal` even while `work`, which goes on, waits for its turn. */
export async function abortable(work: Promise<void>, signal: AbortSignal): Promise<void> {
  const settled = new AbortController();
  try {
    const { signal: unless } = settled;
    const aborted = signal.aborted ? Promise.resolve() : once(signal, 'abort', { signal: unless });
    await Promise.race([work, aborted.then(() => signal.throwIfAborted())]);
  } finally {
    settled.abort();
  }
}

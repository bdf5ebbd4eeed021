import { readdirSync, readlinkSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { closeDescriptor, NativeBuffer } from '@godwit/posix';
import { onTestFinished } from 'vitest';

/** For what happens within milliseconds and must not hang a test that waits for it in vain. */
export const LIMIT_MILLIS = 10_000;

/** Memory with an address, until the test ends. */
export function buffer(byteLength: number): NativeBuffer {
  const memory = new NativeBuffer(byteLength);
  onTestFinished(() => memory[Symbol.dispose]());
  return memory;
}

/** Closes a descriptor when the test ends. */
export function owned(descriptor: number): number {
  onTestFinished(() => closeDescriptor(descriptor));
  return descriptor;
}

/** @param what completes "… did not come within N ms". */
export async function within<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`${what} did not come within ${LIMIT_MILLIS} ms`));
    }, LIMIT_MILLIS);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** For what no event tells: looks once in every turn of the event loop. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + LIMIT_MILLIS;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`not within ${LIMIT_MILLIS} ms: ${what}`);
    await setImmediate();
  }
}

/** How many sockets this process has open, connected, listening or duplicated. */
export function socketCount(): number {
  return readdirSync('/proc/self/fd').filter((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`).startsWith('socket:');
    } catch {
      return false; // the descriptor that listed the others
    }
  }).length;
}

/** What arrives, in order, for whoever takes it later or waits for it already. */
export class Inbox<T> {
  readonly #what: string;
  readonly #items: T[] = [];
  #wake: () => void = () => undefined;

  constructor(what: string) {
    this.#what = what;
  }

  get count(): number {
    return this.#items.length;
  }

  readonly put = (item: T): void => {
    this.#items.push(item);
    this.#wake();
  };

  async take(): Promise<T> {
    while (this.#items.length === 0) {
      const arrival = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await within(this.#what, arrival);
    }
    // The loop has seen that there is one.
    return this.#items.shift() as T;
  }
}

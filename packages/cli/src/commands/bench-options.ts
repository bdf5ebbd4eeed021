import type { BenchPeer, PeerOptions } from '@godwit/bench';
import { InvalidArgumentError } from 'commander';

import { UsageError } from '../errors.ts';
import { parseSize } from '../sizes.ts';

/** Ctrl-C and its like end the waits, so that processes and files are gone on the way out. */
export function interruptible(): { readonly signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  const interrupt = (name: string): void => controller.abort(new Error(`ended by ${name}`));
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of names) process.on(name, interrupt);
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      for (const name of names) process.removeListener(name, interrupt);
    },
  };
}

export function checkSize(text: string): number {
  try {
    return parseSize(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

export function checkCount(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(count)) return count;
  throw new InvalidArgumentError(`'${text}' is not a whole number`);
}

/** A benchmark refuses what is not possible with a RangeError: that is a wrong use of the command. */
export async function asUsage<Result>(result: Promise<Result>): Promise<Result> {
  return await result.catch((error: unknown) => {
    if (error instanceof RangeError) throw new UsageError(error.message, { cause: error });
    throw error;
  });
}

/** @param command what starts it, if that is not the usual one. */
export function peerOptions(type: BenchPeer, command: string | undefined): PeerOptions {
  return command === undefined ? { type } : { type, command };
}

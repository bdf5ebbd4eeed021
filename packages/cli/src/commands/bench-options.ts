import type { BenchPeer, PeerOptions } from '@godwit/bench';

import { UsageError } from '../errors.ts';

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

import assert from 'node:assert/strict';

import type { Channel } from '@godwit/transport';

import { type PumpShare, PumpThread, type PumpTimes, type PumpWork } from './pump-thread.ts';

/** Bounds of the shares: no chunk of a pump is cut in two by them. */
const SHARE_UNIT_BYTES = 2 ** 20;

/** One end of a raw pump: a thread, a connection and a share of memory for each stream. */
export class Pump {
  readonly #threads: readonly PumpThread[];

  private constructor(threads: readonly PumpThread[]) {
    this.#threads = threads;
  }

  /** @returns once every thread waits for its descriptor. */
  static async start(work: PumpWork, shares: readonly PumpShare[]): Promise<Pump> {
    return new Pump(await Promise.all(shares.map((share) => PumpThread.start({ work, share }))));
  }

  /**
   * @param channels in the order of the shares.
   * @returns from the first byte of the first to the last byte of the last.
   */
  async run(channels: readonly Channel[]): Promise<PumpTimes> {
    assert.equal(channels.length, this.#threads.length);
    const times = await Promise.all(
      this.#threads.map((thread, index) => thread.run((channels[index] as Channel).descriptor)),
    );
    return {
      firstMillis: Math.min(...times.map((it) => it.firstMillis)),
      lastMillis: Math.max(...times.map((it) => it.lastMillis)),
    };
  }
}

/** Contiguous shares of (nearly) the same size, the same on both sides; none is empty from 1 MiB each. */
export function sharesOf({ address, byteLength }: PumpShare, count: number): PumpShare[] {
  const boundary = (index: number): number =>
    index === count
      ? byteLength
      : Math.floor((index * byteLength) / count / SHARE_UNIT_BYTES) * SHARE_UNIT_BYTES;
  return Array.from({ length: count }, (_, index) => ({
    address: address + boundary(index),
    byteLength: boundary(index + 1) - boundary(index),
  }));
}

import { parentPort, workerData } from 'node:worker_threads';

import { copyPages, NativeBuffer, readFully, writeFully } from '@godwit/posix';

import { monotonicMillis } from '../migrate/clock.ts';
import type { PumpData, PumpTimes } from '../side/pump-thread.ts';

/*
 * The least that any migration must do: every byte once from the source's memory into the socket, or
 * out of it into the destination's memory, in blocking calls of 1 MiB. Where pages are missing they
 * must be placed, too: then out of the socket into memory that is warm, and from there by UFFDIO_COPY.
 */

const CHUNK_BYTES = 2 ** 20;

const { work, share } = workerData as PumpData;
const { address, byteLength } = share;
const staging = work.role === 'place' ? new NativeBuffer(CHUNK_BYTES) : undefined;
staging?.bytes.fill(1); // a page of it, too, costs something at its first touch

parentPort?.once('message', (descriptor: number) => {
  const firstMillis = monotonicMillis();
  for (let done = 0; done < byteLength; done += CHUNK_BYTES) {
    moveChunk(descriptor, address + done, Math.min(CHUNK_BYTES, byteLength - done));
  }
  const times: PumpTimes = { firstMillis, lastMillis: monotonicMillis() };
  parentPort?.postMessage(times);
  staging?.[Symbol.dispose]();
});
parentPort?.postMessage('ready');

function moveChunk(descriptor: number, at: number, bytes: number): void {
  if (work.role === 'write') return writeFully(descriptor, at, bytes);
  const target = staging?.address ?? at;
  const count = readFully(descriptor, target, bytes);
  if (count < bytes) throw new Error(`the pump ended ${bytes - count} bytes early`);
  if (work.role === 'place') copyPages(work.userfaultfd, at, target, bytes);
}

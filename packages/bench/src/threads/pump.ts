import { parentPort, workerData } from 'node:worker_threads';

import { readFully, writeFully } from '@godwit/posix';

import { monotonicMillis } from '../migrate/clock.ts';
import type { PumpData, PumpTimes } from '../side/pump-thread.ts';

/*
 * The least that any migration must do: every byte once from the source's memory into the socket, or
 * out of it into the destination's memory, in blocking calls of 1 MiB.
 */

const CHUNK_BYTES = 2 ** 20;

const { role, address, byteLength } = workerData as PumpData;

parentPort?.once('message', (descriptor: number) => {
  const firstMillis = monotonicMillis();
  for (let done = 0; done < byteLength; done += CHUNK_BYTES) {
    moveChunk(descriptor, address + done, Math.min(CHUNK_BYTES, byteLength - done));
  }
  const times: PumpTimes = { firstMillis, lastMillis: monotonicMillis() };
  parentPort?.postMessage(times);
});
parentPort?.postMessage('ready');

function moveChunk(descriptor: number, from: number, bytes: number): void {
  if (role === 'write') return writeFully(descriptor, from, bytes);
  const count = readFully(descriptor, from, bytes);
  if (count < bytes) throw new Error(`the pump ended ${bytes - count} bytes early`);
}

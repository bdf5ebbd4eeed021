import { setTimeout as sleep } from 'node:timers/promises';

import type { MigrateInfo, QemuMeasurement } from './qemu-measurement.ts';
import { eventMillis, isStatus } from './qemu-events.ts';
import type { QemuProcess } from './qemu-process.ts';

/** Between two looks at how far the source has got; as often as our own side is asked. */
const LOOK_MILLIS = 10;

/** From the command to resume to postcopy-active. */
export interface PeerRecovery {
  readonly source: number;
  readonly destination: number;
}

/** Cuts the link half way, and asks for a new one once both sides have noticed; the bulk goes free. */
export async function recoverQemu(
  { options, source, destination }: QemuMeasurement,
  listenAgain: () => Promise<string>,
): Promise<PeerRecovery> {
  await untilLeft(source, options.memoryBytes / 2);
  const cut = { source: source.eventCursor, destination: destination.eventCursor };
  await source.execute('migrate-pause');
  await Promise.all([
    source.event(cut.source, isStatus('postcopy-paused')),
    destination.event(cut.destination, isStatus('postcopy-paused')),
  ]);
  const uri = await listenAgain();
  await source.execute('migrate-set-parameters', { 'max-postcopy-bandwidth': 0 });
  const askedMillis = wallClockMillis();
  const active = Promise.all([
    source.event(cut.source, isStatus('postcopy-active')),
    destination.event(cut.destination, isStatus('postcopy-active')),
  ]);
  active.catch(() => undefined); // told below, unless the command fails first
  await source.execute('migrate', { uri, resume: true });
  const [left, arrived] = await active;
  return {
    source: eventMillis(left) - askedMillis,
    destination: eventMillis(arrived) - askedMillis,
  };
}

/** @returns once the source has no more than so many bytes to send. */
async function untilLeft(source: QemuProcess, bytes: number): Promise<void> {
  for (;;) {
    const { status, ram } = await source.execute<MigrateInfo>('query-migrate');
    if (status === 'postcopy-active' && (ram?.remaining ?? Infinity) <= bytes) return;
    if (status === 'completed' || status === 'failed') {
      throw new Error(`QEMU's migration is ${status} before it could be interrupted`);
    }
    await sleep(LOOK_MILLIS);
  }
}

/** The clock of QEMU's events, with fractions of a millisecond. */
function wallClockMillis(): number {
  return performance.timeOrigin + performance.now();
}

import type { QmpEvent } from '@godwit/qmp';

import type { MigrateBenchOptions } from '../migrate/options.ts';
import type { PeerRun } from './peer-runs.ts';
import { migrationUri } from './qemu-arguments.ts';
import { guestStalls } from './qemu-guest.ts';
import type { QemuProcess } from './qemu-process.ts';
import { configureDestination, configureSource } from './qemu-settings.ts';
import { slowestStalls, type StallRun } from '../migrate/stalls.ts';
import type { PeerVariant } from './variants.ts';

export interface QemuMeasurement {
  readonly options: MigrateBenchOptions;
  readonly variant: PeerVariant;
  /** Stopped, with a guest that has filled its memory. */
  readonly source: QemuProcess;
  /** Waits to be told where to listen. */
  readonly destination: QemuProcess;
  readonly directory: string;
  readonly socketName: string;
  readonly ticksPerMicro: number;
}

/** What `query-migrate` knows of a migration. */
interface MigrateInfo {
  readonly ram?: {
    readonly 'dirty-sync-count'?: number;
    readonly 'postcopy-requests'?: number;
  };
  readonly 'error-desc'?: string;
  readonly 'socket-address'?: readonly { readonly type: string; readonly port?: string }[];
}

/** One migration of QEMU's, timed by the events of both sides. @throws {Error} it failed. */
export async function measureQemu(measurement: QemuMeasurement): Promise<PeerRun> {
  const { options, variant, source, destination } = measurement;
  await configureDestination(destination, variant);
  const uri = await listen(measurement);
  await configureSource(source, variant, options);
  await source.execute('cont');
  const since = { source: source.eventCursor, destination: destination.eventCursor };
  const cpuBefore = { source: source.cpuSeconds(), destination: destination.cpuSeconds() };
  const active = source.event(since.source, isStatus('active'));
  const stopped = source.event(since.source, isNamed('STOP'));
  const running = destination.event(since.destination, isNamed('RESUME'));
  const left = untilCompleted(source, since.source);
  const arrived = untilCompleted(destination, since.destination);
  const all = Promise.all([active, stopped, running, left, arrived]);
  all.catch(() => undefined); // told below; until then a command may fail first
  await source.execute('migrate', { uri });
  if (variant.postcopy) {
    await active;
    await source.execute('migrate-start-postcopy');
  }
  const [begun, stop, run, sourceEnd, destinationEnd] = await all;
  const info = await source.execute<MigrateInfo>('query-migrate');
  const startMillis = eventMillis(variant.postcopy ? run : begun);
  const millis = Math.max(sourceEnd.millis, destinationEnd.millis) - startMillis;
  const gib = options.memoryBytes / 2 ** 30;
  return {
    variant,
    millis,
    bytesPerSecond: (options.memoryBytes / millis) * 1000,
    cpuSecondsPerGib: {
      source: (sourceEnd.cpuSeconds - cpuBefore.source) / gib,
      destination: (destinationEnd.cpuSeconds - cpuBefore.destination) / gib,
    },
    downtimeMillis: eventMillis(run) - eventMillis(stop),
    passes: info.ram?.['dirty-sync-count'] ?? 0,
    ...(variant.postcopy ? { stalls: await readStalls(measurement, info) } : {}),
  };
}

/** @returns where the source finds it. */
async function listen(measurement: QemuMeasurement): Promise<string> {
  const { options, destination, directory, socketName } = measurement;
  const uri = migrationUri(options.transport, directory, socketName);
  await destination.execute('migrate-incoming', { uri });
  if (options.transport === 'unix') return uri;
  const info = await destination.execute<MigrateInfo>('query-migrate');
  const port = info['socket-address']?.[0]?.port;
  if (port === undefined) throw new Error('QEMU does not say on which port it listens');
  return `tcp:127.0.0.1:${port}`;
}

interface End {
  readonly millis: number;
  readonly cpuSeconds: number;
}

async function untilCompleted(qemu: QemuProcess, since: number): Promise<End> {
  const event = await qemu.event(since, (it) => isEnd(it));
  const cpuSeconds = qemu.cpuSeconds();
  if (isStatus('completed')(event)) return { millis: eventMillis(event), cpuSeconds };
  const info = await qemu.execute<MigrateInfo>('query-migrate');
  const reason = info['error-desc'] ?? 'it does not say why';
  throw new Error(`QEMU's migration is ${String(event.data?.['status'])}: ${reason}`);
}

async function readStalls(
  { source, destination, directory, ticksPerMicro }: QemuMeasurement,
  info: MigrateInfo,
): Promise<StallRun> {
  await destination.execute('stop');
  const before = await guestStalls(source, directory);
  const after = await guestStalls(destination, directory);
  return slowestStalls(before, after, info.ram?.['postcopy-requests'] ?? 0, ticksPerMicro);
}

/** Of the wall clock, which both processes share. */
function eventMillis({ timestamp }: QmpEvent): number {
  return timestamp.seconds * 1000 + timestamp.microseconds / 1000;
}

function isNamed(name: string): (event: QmpEvent) => boolean {
  return ({ event }) => event === name;
}

function isStatus(status: string): (event: QmpEvent) => boolean {
  return ({ event, data }) => event === 'MIGRATION' && data?.['status'] === status;
}

const endStatuses = ['completed', 'failed', 'cancelled', 'postcopy-paused'];

function isEnd(event: QmpEvent): boolean {
  return endStatuses.some((status) => isStatus(status)(event));
}

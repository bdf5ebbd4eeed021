import { slowestStalls, type StallRun } from '../migrate/stalls.ts';
import type { PeerRun } from './peer-runs.ts';
import { migrationUri } from './qemu-arguments.ts';
import { eventMillis, isNamed, isStatus } from './qemu-events.ts';
import { guestStalls } from './qemu-guest.ts';
import type { MigrateInfo, QemuMeasurement } from './qemu-measurement.ts';
import type { QemuProcess } from './qemu-process.ts';
import { recoverQemu } from './qemu-recovery.ts';
import { configureDestination, configureSource } from './qemu-settings.ts';

/** One migration of QEMU's, timed by the events of both sides. @throws {Error} it failed. */
export async function measureQemu(measurement: QemuMeasurement): Promise<PeerRun> {
  const { options, variant, source, destination } = measurement;
  await configureDestination(destination, variant);
  const uri = await listen(measurement, 'migrate-incoming');
  await configureSource(source, variant, options);
  await source.execute('cont');
  const cpuBefore = { source: source.cpuSeconds(), destination: destination.cpuSeconds() };
  const progress = watch(measurement);
  await source.execute('migrate', { uri });
  if (variant.postcopy) {
    await progress.active;
    await source.execute('migrate-start-postcopy');
  }
  const recovery =
    options.mode === 'recovery'
      ? await recoverQemu(measurement, async () => await listen(measurement, 'migrate-recover'))
      : undefined;
  const [begun, stop, run, sourceEnd, destinationEnd] = await progress.all;
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
    ...(recovery === undefined ? {} : { recovery }),
  };
}

/** @returns where the source finds it. */
async function listen(
  { options, destination, directory, socketName }: QemuMeasurement,
  command: 'migrate-incoming' | 'migrate-recover',
): Promise<string> {
  const uri = migrationUri(options.transport, directory, `${socketName}-${command}`);
  await destination.execute(command, { uri });
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

/** Waits for all that will happen, from now on; whether a pause is part of it depends on the mode. */
function watch({ options, source, destination }: QemuMeasurement) {
  const since = { source: source.eventCursor, destination: destination.eventCursor };
  const mishaps = ['failed', 'cancelled'];
  if (options.mode !== 'recovery') mishaps.push('postcopy-paused');
  const active = source.event(since.source, isStatus('active'));
  const all = Promise.all([
    active,
    source.event(since.source, isNamed('STOP')),
    destination.event(since.destination, isNamed('RESUME')),
    untilCompleted(source, since.source, mishaps),
    untilCompleted(destination, since.destination, mishaps),
  ]);
  all.catch(() => undefined); // told to whoever asks for it; a command may fail before that
  return { active, all };
}

async function untilCompleted(
  qemu: QemuProcess,
  since: number,
  mishaps: readonly string[],
): Promise<End> {
  const event = await qemu.event(since, isStatus('completed', ...mishaps));
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

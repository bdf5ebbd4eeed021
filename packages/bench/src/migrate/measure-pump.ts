import { pumpName } from './describe-options.ts';
import { memoryKind } from './options.ts';
import type { PumpRun } from './runs.ts';
import type { Stage } from './stage.ts';

/**
 * One raw pump of the guest's memory over as many streams as the migration has, the guest standing
 * still: what a migration cannot beat.
 */
export async function measurePump({
  options,
  source,
  destination,
  address,
}: Stage): Promise<PumpRun> {
  const { memoryBytes, mode, channels, memoryMode } = options;
  await source.call('preparePump', channels);
  const bound = await destination.call('preparePump', {
    memoryBytes,
    memory: memoryKind(options),
    channels,
    address: address(),
    // Portable memory is placed by a copy of our own, where userfaultfd may well be refused.
    postcopy: mode !== 'precopy' && memoryMode !== 'portable',
  });
  const [written, read] = await Promise.all([
    source.call('pump', bound),
    destination.call('untilPumped', undefined),
  ]);
  const millis = read.lastMillis - written.firstMillis;
  const gib = memoryBytes / 2 ** 30;
  return {
    name: pumpName(options),
    millis,
    bytesPerSecond: (memoryBytes / millis) * 1000,
    cpuSecondsPerGib: { source: written.cpuSeconds / gib, destination: read.cpuSeconds / gib },
  };
}

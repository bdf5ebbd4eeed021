import { memoryKind } from './options.ts';
import type { PumpRun } from './runs.ts';
import type { Stage } from './stage.ts';

/** One raw pump of the guest's memory, the guest standing still: what a migration cannot beat. */
export async function measurePump({
  options,
  source,
  destination,
  address,
}: Stage): Promise<PumpRun> {
  const { memoryBytes, mode } = options;
  await source.call('preparePump', undefined);
  const bound = await destination.call('preparePump', {
    memoryBytes,
    memory: memoryKind(options),
    address: address(),
    postcopy: mode !== 'precopy',
  });
  const [written, read] = await Promise.all([
    source.call('pump', bound),
    destination.call('untilPumped', undefined),
  ]);
  const millis = read.lastMillis - written.firstMillis;
  const gib = memoryBytes / 2 ** 30;
  return {
    millis,
    bytesPerSecond: (memoryBytes / millis) * 1000,
    cpuSecondsPerGib: { source: written.cpuSeconds / gib, destination: read.cpuSeconds / gib },
  };
}

import { PagemapDirtyLog } from './dirty-log.ts';
import { allocateRam } from './guest-ram.ts';
import { memoryModeOf } from './portable-ram.ts';
import type { RamBlock } from './ram-block.ts';

/**
 * Why writes to this RAM cannot be tracked by this process, or nothing where they can: without that
 * no page can be sent while the guest runs. Tried on memory of the same kind that nobody has touched, so it
 * costs little and leaves the guest alone; what it finds holds until the host's limits change.
 */
export function trackingBlocker(blocks: readonly RamBlock[]): string | undefined {
  if (memoryModeOf(blocks) === 'portable') return undefined; // the guest notes its writes itself
  const isFile = blocks.some(({ descriptor }) => descriptor !== undefined);
  // Of files the size matters, for they are locked in memory; of other memory a page tells as much.
  const specs = blocks.map(({ id, byteLength, pageBytes }) => {
    return { id, byteLength: isFile ? byteLength : pageBytes };
  });
  try {
    // A memfd is locked in memory as any file is, and needs no room on a disk.
    using ram = allocateRam(specs, isFile ? 'memfd' : 'anon');
    using log = new PagemapDirtyLog(ram.blocks);
    log.writtenPages();
    return undefined;
  } catch (error) {
    return `writes to guest RAM cannot be tracked: ${(error as Error).message}`;
  }
}

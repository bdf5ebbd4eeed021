import { type DirtyLog, PagemapDirtyLog } from './dirty-log.ts';
import { PortableDirtyLog } from './portable-dirty-log.ts';
import { memoryModeOf } from './portable-ram.ts';
import type { RamBlock } from './ram-block.ts';

/**
 * The dirty log that fits how these blocks are accessed.
 *
 * @param between called now and then while it is opened, which may take long.
 * @throws {SystemError} the kernel is to note writes and does not.
 * @throws {MigrationError} `ERR_SETUP`, `ERR_ARGUMENT`: the blocks cannot be tracked, or not together.
 */
export function openDirtyLog(blocks: readonly RamBlock[], between?: () => void): DirtyLog {
  const isPortable = memoryModeOf(blocks) === 'portable';
  return isPortable ? new PortableDirtyLog(blocks) : new PagemapDirtyLog(blocks, between);
}

import { lstatSync, unlinkSync } from 'node:fs';

/**
 * The socket files of this process. Whoever listens removes its own file; this is for the ends of
 * the process at which nobody gets to do anything any more.
 */
export class SocketFiles {
  readonly #inodes = new Map<string, bigint>();

  /** @param path a file that this process has just made. */
  add(path: string): void {
    const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    if (stats !== undefined) this.#inodes.set(path, stats.ino);
  }

  /** Those that are still there and still the same: a path may be somebody else's by now. */
  removeAll(): void {
    for (const [path, inode] of this.#inodes) {
      try {
        const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
        if (stats?.ino === inode) unlinkSync(path);
      } catch {
        // The process ends; a file that cannot be removed is replaced by the next one to listen.
      }
    }
  }
}

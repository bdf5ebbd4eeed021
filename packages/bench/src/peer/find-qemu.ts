import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const DEFAULT_COMMAND = 'qemu-system-x86_64';
const VERSION_LIMIT_MILLIS = 10_000;

export type FoundQemu =
  | { readonly found: true; readonly command: string; readonly version: string }
  | { readonly found: false; readonly reason: string };

/**
 * Looks for the QEMU to measure.
 *
 * @param command a path, or a name in PATH; left out, Debian's.
 * @throws {RangeError} the one that was named cannot be started. That there is none by default is no
 *   error: then there is nothing to compare with.
 */
export async function findQemu(command: string | undefined): Promise<FoundQemu> {
  const name = command ?? DEFAULT_COMMAND;
  try {
    const limits = { timeout: VERSION_LIMIT_MILLIS };
    const { stdout } = await promisify(execFile)(name, ['--version'], limits);
    return { found: true, command: name, version: parseVersion(stdout) };
  } catch (error) {
    if (command !== undefined) {
      const reason = (error as Error).message;
      throw new RangeError(`--qemu ${command}: cannot be started: ${reason}`, { cause: error });
    }
    return { found: false, reason: missing(error) };
  }
}

/** `10.0.13 (Debian 1:10.0.13+ds-0+deb13u1)` of what `--version` prints. */
export function parseVersion(printed: string): string {
  const [line = ''] = printed.split('\n', 1);
  return line.replace(/^QEMU emulator version /, '');
}

function missing(error: unknown): string {
  const isAbsent = (error as NodeJS.ErrnoException).code === 'ENOENT';
  const state = isAbsent ? 'is not installed' : `cannot be started (${(error as Error).message})`;
  return (
    `QEMU ${state}, nothing to compare with: ` +
    'apt-get install qemu-system-x86, or name another one with --qemu COMMAND'
  );
}

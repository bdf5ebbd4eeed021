import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const TRIAL_LIMIT_MILLIS = 5_000;
/** Of util-linux: the kernel kills what it starts when we die, be it by SIGKILL. */
const BOUND_TO_US = ['setpriv', '--pdeathsig', 'KILL'] as const;

/**
 * What to put in front of a command, so that it does not outlive us: QEMU does not notice when nobody
 * holds its monitor any more. Nothing where it cannot be had; then only SIGKILL leaves a QEMU behind.
 */
export async function findLauncher(): Promise<readonly string[]> {
  const [command, ...args] = BOUND_TO_US;
  try {
    await promisify(execFile)(command, [...args, 'true'], { timeout: TRIAL_LIMIT_MILLIS });
    return BOUND_TO_US;
  } catch {
    return []; // whichever way it failed: it cannot be had
  }
}

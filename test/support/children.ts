import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_MILLIS = 5;
const LIMIT_MILLIS = 10_000;

/** The processes that a process has started and that still live. */
export function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((candidate) => parentOf(candidate) === pid);
}

/** Nothing tells of it: so it looks. @throws when a process lives on. */
export async function untilGone(...pids: readonly number[]): Promise<void> {
  await until(() => !pids.some((pid) => existsSync(`/proc/${pid}`)), `the end of ${pids.join()}`);
}

/** Until a process has exactly so many children. @returns them. */
export async function untilChildren(pid: number, count: number): Promise<number[]> {
  await until(() => childrenOf(pid).length === count, `${count} children of ${pid}`);
  return childrenOf(pid);
}

async function until(isSo: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + LIMIT_MILLIS;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`${what} did not come in time`);
    await sleep(LOOK_MILLIS);
  }
}

/** The fourth field; the second is in brackets. Zombies count: whoever started them has forgotten them. */
function parentOf(pid: number): number | undefined {
  if (!Number.isSafeInteger(pid)) return undefined;
  try {
    const [, afterName = ''] =
      /^.*\) (.*)$/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8').trim()) ?? [];
    return Number(afterName.split(' ')[1]);
  } catch {
    return undefined; // ended meanwhile
  }
}

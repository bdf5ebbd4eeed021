import assert from 'node:assert/strict';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { countMappings } from '@godwit/chaos';

/** What a process holds that it could forget to give back; from /proc. */
export interface ProcessResources {
  readonly threads: number;
  /** As `countMappings` counts. */
  readonly mappings: number;
  readonly descriptors: number;
  readonly sockets: number;
  readonly userfaultfds: number;
}

export async function processResources(pid: number): Promise<ProcessResources> {
  const [threads, maps, links] = await Promise.all([
    readdir(`/proc/${pid}/task`),
    readFile(`/proc/${pid}/maps`, 'utf8'),
    descriptorLinks(pid),
  ]);
  return {
    threads: threads.length,
    mappings: countMappings(maps),
    descriptors: links.length,
    sockets: links.filter((link) => link.startsWith('socket:')).length,
    userfaultfds: links.filter((link) => link === 'anon_inode:[userfaultfd]').length,
  };
}

async function descriptorLinks(pid: number): Promise<string[]> {
  const names = await readdir(`/proc/${pid}/fd`);
  const links = names.map((name) => {
    return readlink(`/proc/${pid}/fd/${name}`).catch(() => undefined); // closed meanwhile
  });
  return (await Promise.all(links)).filter((link) => link !== undefined);
}

/**
 * What may differ although nothing is kept: allocators hold arenas of threads that have ended, and Node's
 * pool starts its threads when it first needs them.
 */
const slack: ProcessResources = {
  threads: 0,
  mappings: 40,
  descriptors: 0,
  sockets: 0,
  userfaultfds: 0,
};
/** koffi keeps the stack, its guard page and the heap of each thread that made calls (koffi 3.3). */
const MAPPINGS_KEPT_PER_THREAD = 3;
const LIMIT_MILLIS = 5000;
const LOOK_MILLIS = 10;

/** Threads end shortly after the last event is told, and no event tells of that: so it looks. */
export async function resourcesReturnTo(
  pid: number,
  before: ProcessResources,
  threadsEnded = 0,
): Promise<void> {
  const deadline = performance.now() + LIMIT_MILLIS;
  for (;;) {
    const now = await processResources(pid);
    const kept = keptBeyond(now, before, threadsEnded);
    if (kept.length === 0) return;
    const told = `${kept.join(', ')}; before ${JSON.stringify(before)}, now ${JSON.stringify(now)}`;
    assert(performance.now() < deadline, `given back too little: ${told}`);
    await sleep(LOOK_MILLIS);
  }
}

function keptBeyond(
  now: ProcessResources,
  before: ProcessResources,
  threadsEnded: number,
): string[] {
  const names = Object.keys(slack) as (keyof ProcessResources)[];
  const mappings = slack.mappings + MAPPINGS_KEPT_PER_THREAD * threadsEnded;
  const allowed = { ...slack, mappings };
  return names.filter((name) => now[name] > before[name] + allowed[name]);
}

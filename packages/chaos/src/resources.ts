import { readdir, readFile, readlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** What a process holds that it could forget to give back; from /proc. */
export interface Resources {
  readonly threads: number;
  readonly descriptors: number;
  /** But for V8's heap, whose pages are mappings of their own and come and go with its collections. */
  readonly mappings: number;
  readonly residentBytes: number;
}

const PAGE_BYTES = 4096;
const HEAP_PAGE_BYTES = 256 * 1024;
const LOOK_MILLIS = 10;

export async function resourcesOf(pid: number): Promise<Resources> {
  const [threads, maps, statm, descriptors] = await Promise.all([
    readdir(`/proc/${pid}/task`),
    readFile(`/proc/${pid}/maps`, 'utf8'),
    readFile(`/proc/${pid}/statm`, 'utf8'),
    openDescriptors(pid),
  ]);
  return {
    threads: threads.length,
    descriptors,
    mappings: countMappings(maps),
    residentBytes: Number(statm.split(' ')[1]) * PAGE_BYTES,
  };
}

/** @param maps of /proc. @returns how many there are but V8's heap, as in `Resources`. */
export function countMappings(maps: string): number {
  return maps.split('\n').filter((line) => line !== '' && !isHeapPage(line)).length;
}

/** Of V8: 256 KiB of no file at a multiple of that, in use or put by. What they take counts as resident memory. */
function isHeapPage(line: string): boolean {
  const [range = '', , , , inode] = line.split(/\s+/);
  const [from = Number.NaN, to = Number.NaN] = range
    .split('-')
    .map((end) => Number.parseInt(end, 16));
  return inode === '0' && from % HEAP_PAGE_BYTES === 0 && to - from === HEAP_PAGE_BYTES;
}

/** The directory lists one that is open only to list it in our own process, not in another's. */
async function openDescriptors(pid: number): Promise<number> {
  const names = await readdir(`/proc/${pid}/fd`);
  const links = await Promise.allSettled(names.map((name) => readlink(`/proc/${pid}/fd/${name}`)));
  return links.filter(({ status }) => status === 'fulfilled').length; // others closed meanwhile
}

/** By how much each may be more than it was. */
export type Slack = Resources;

/**
 * Threads end shortly after the last event is told, and no event tells of that: so it looks until
 * everything is given back, or the time is over.
 *
 * @returns what was kept, in words; nothing when all is well.
 */
export async function keptBeyond(
  pid: number,
  before: Resources,
  slack: Slack,
  limitMillis: number,
): Promise<string[]> {
  const deadline = performance.now() + limitMillis;
  for (;;) {
    const now = await resourcesOf(pid);
    const names = Object.keys(before) as (keyof Resources)[];
    const kept = names.filter((name) => now[name] > before[name] + slack[name]);
    if (kept.length === 0) return [];
    if (performance.now() > deadline) {
      return kept.map((name) => `${name} ${before[name]} → ${now[name]} (limit +${slack[name]})`);
    }
    await sleep(LOOK_MILLIS);
  }
}

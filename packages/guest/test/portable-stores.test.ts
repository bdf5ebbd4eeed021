import {
  type PageBitmap,
  PageBitmap as Bitmap,
  PortableDirtyLog,
  type RamBlock,
} from '@godwit/core';
import { viewMemory } from '@godwit/posix';
import { expect, test } from 'vitest';
import type { DummyGuest } from '../src/dummy-guest.ts';
import { PAGE_WORDS } from '../src/pages/memory-pages.ts';
import { portableRam, realGuest, runSteps } from './real-ram.ts';

/** One word of each table: as little as can be passes between the log's answer and the look at a page. */
const PAGES_PER_BLOCK = 32;
const BLOCKS = 8;
/** Of watching; in reverse order several stores are lost in that time, on a machine that is busy as well. */
const RUN_MILLIS = 3000;
/** More lost stores than this need not be found. */
const LOST_MAX = 3;

/** A sender that keeps a copy of the first word of every page of one block, as the log tells it to. */
class Mirror {
  readonly #log: PortableDirtyLog;
  readonly #words: Int32Array;
  readonly #dirty: PageBitmap;
  readonly #present: PageBitmap;
  readonly #copy = new Int32Array(PAGES_PER_BLOCK);

  constructor(block: RamBlock) {
    this.#log = new PortableDirtyLog([block]);
    this.#words = new Int32Array(viewMemory(block.address, block.byteLength));
    this.#dirty = new Bitmap(PAGES_PER_BLOCK);
    this.#present = new Bitmap(PAGES_PER_BLOCK);
  }

  /** Copies what was written. @returns whether `page` was told. */
  sync(page = 0): boolean {
    this.#dirty.clear();
    this.#log.sync([this.#dirty], [this.#present]);
    this.#dirty.forEachRun((first, count) => {
      for (let at = first; at < first + count; at += 1) this.#copy[at] = this.#read(at);
    });
    return this.#dirty.has(page);
  }

  /** A page that is not as it was copied; -1: all are. */
  differing(): number {
    return this.#copy.findIndex((word, page) => word !== this.#read(page));
  }

  #read(page: number): number {
    return Atomics.load(this.#words, page * PAGE_WORDS);
  }
}

/**
 * A page differs from its copy when the guest has stored to it since. The guest tells of that in the same
 * step: so once it has made two further steps the log must tell of the page, or the store is lost.
 */
function watchStores(
  guest: DummyGuest,
  mirrors: readonly Mirror[],
): { lost: number; late: number } {
  let [lost, late] = [0, 0];
  const end = performance.now() + RUN_MILLIS;
  while (performance.now() < end && lost < LOST_MAX) {
    for (const mirror of mirrors) {
      mirror.sync();
      const page = mirror.differing();
      if (page < 0) continue;
      late += 1;
      const steps = guest.stepsTotal;
      while (guest.stepsTotal < steps + 2);
      if (!mirror.sync(page)) lost += 1;
    }
  }
  return { lost, late };
}

test('no store is lost between the written bit and the look at its page', async () => {
  const ram = portableRam(Array.from({ length: BLOCKS }, () => PAGES_PER_BLOCK));
  const guest = await realGuest({ ram, workload: 'sweep' });
  const mirrors = ram.map((block) => new Mirror(block));
  for (const mirror of mirrors) mirror.sync();
  expect(mirrors.map((mirror) => mirror.differing())).toEqual(mirrors.map(() => -1));
  await guest.resume();
  const { lost, late } = watchStores(guest, mirrors);
  await guest.pause();
  expect(lost).toBe(0);
  expect(late).toBeGreaterThan(100); // otherwise the two never met
  for (const mirror of mirrors) mirror.sync();
  expect(mirrors.map((mirror) => mirror.differing())).toEqual(mirrors.map(() => -1));
});

test.each(['sweep', 'zipf'] as const)(
  'a %s guest in portable memory proves right',
  async (workload) => {
    const guest = await realGuest({ ram: portableRam([100, 7]), workload, vcpus: 3, fill: 0.5 });
    await guest.resume();
    await runSteps(guest, 50_000);
    await guest.pause();
    expect(await guest.verify()).toMatchObject({ ok: true, pagesChecked: 107, badPages: [] });
  },
);

test('what a guest is filled with exists, and nothing else', async () => {
  const ram = portableRam([64]);
  await realGuest({ ram, fill: 0.5 });
  const [dirty, present] = [new Bitmap(64), new Bitmap(64)];
  new PortableDirtyLog(ram).sync([dirty], [present]);
  const words = new Int32Array(viewMemory(ram[0]!.address, ram[0]!.byteLength));
  const filled = [...Array(64).keys()].filter((page) => words[page * PAGE_WORDS] !== 0);
  expect(filled.length).toBeGreaterThan(0);
  expect(filled.length).toBeLessThan(64);
  expect([...Array(64).keys()].filter((page) => present.has(page))).toEqual(filled);
});

test('a vCPU that needs a page which nobody brings crashes, and its guest can be closed', async () => {
  const ram = portableRam([64]);
  let tell: (error: Error) => void = () => undefined;
  const crash = new Promise<Error>((resolve) => {
    tell = resolve;
  });
  const guest = await realGuest({ ram, onCrash: (error) => tell(error) });
  Atomics.and(new Int32Array(ram[0]!.portable!.received), 0, ~(1 << 3));
  await guest.resume();
  expect(await crash).toMatchObject({
    code: 'ERR_VCPU_CRASHED',
    cause: { message: expect.stringContaining('page 3 of RAM block') },
  });
  expect(guest.steps()).toEqual([3]);
});

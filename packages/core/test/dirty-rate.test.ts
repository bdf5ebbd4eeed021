import { readdirSync } from 'node:fs';
import { probeHost } from '@godwit/posix';
import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import {
  DirtyRateMeasurement,
  type DirtyRateMode,
} from '../src/dirty-rate/dirty-rate-measurement.ts';
import { PagemapDirtyLog } from '../src/memory/dirty-log.ts';
import { PageSample, zeroShareOf } from '../src/memory/page-sample.ts';
import { bitmapsOf, bytesOf, pageOf, realRam } from './real-ram.ts';

beforeEach((context) => {
  const { wpAsync } = probeHost();
  if (!wpAsync.available) context.skip(wpAsync.reason);
});

const PAGES = 512;
const modes: readonly DirtyRateMode[] = ['dirty-bitmap', 'page-sampling'];

function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

test('a hot set shows in the first look and grows no more, a walk goes on', async () => {
  const [block] = realRam([PAGES]);
  if (block === undefined) throw new Error('no RAM');
  bytesOf(block).fill(1);
  const options = { mode: 'dirty-bitmap', calcMillis: 320, samplePages: 0 } as const;
  const measurement = new DirtyRateMeasurement([block], options);
  await measurement.begun;
  for (let page = 0; page < 40; page += 1) pageOf(block, page)[0] = 2;
  const walk = setInterval(() => {
    for (let page = 0; page < 40; page += 1) pageOf(block, page)[0] = 3; // hot: no news
  }, 1);
  const result = await measurement.result;
  clearInterval(walk);
  expect(result).toMatchObject({ total: PAGES, present: PAGES, zero: 0 });
  expect(result?.curve.map(({ pages }) => pages)).toEqual([40, 40, 40, 40, 40, 40]);
  expect(result?.curve.at(-1)?.elapsedMillis).toBeGreaterThanOrEqual(300);
});

test.each(modes)('ended before its time, %s tells nothing and leaves nothing', async (mode) => {
  const blocks = realRam([PAGES]);
  const warm = new DirtyRateMeasurement(blocks, { mode, calcMillis: 50, samplePages: 512 });
  await warm.result; // what a first thread loads stays
  const before = descriptors();
  for (const wait of [true, false]) {
    const options = { mode, calcMillis: 60_000, samplePages: 512 };
    const measurement = new DirtyRateMeasurement(blocks, options);
    if (wait) await measurement.begun;
    await measurement.end();
    await measurement.end();
    expect(await measurement.result).toBeUndefined();
  }
  expect(descriptors()).toBe(before);
  using log = new PagemapDirtyLog(blocks); // nobody else notes writes
  expect(log.sync(bitmapsOf(blocks), bitmapsOf(blocks))).toBeGreaterThanOrEqual(0);
});

test('while somebody else notes writes a measurement fails and says so', async () => {
  const blocks = realRam([PAGES]);
  using _log = new PagemapDirtyLog(blocks);
  const options = { mode: 'dirty-bitmap', calcMillis: 50, samplePages: 0 } as const;
  const measurement = new DirtyRateMeasurement(blocks, options);
  await expect(measurement.begun).rejects.toThrow(/EBUSY|busy/i);
  await expect(measurement.result).rejects.toThrow(/EBUSY|busy/i);
  await measurement.end();
});

test('a sample tells exactly those of its pages that have changed', () => {
  const [block] = realRam([1]);
  if (block === undefined) throw new Error('no RAM');
  const sample = new PageSample([block], 128);
  expect([sample.changedPages(), sample.zeroShare()]).toEqual([0, 1]);
  pageOf(block, 0)[4095] = 1;
  expect([sample.changedPages(), sample.zeroShare()]).toEqual([1, 0]);
});

test('the share of zero pages is exact where every page is looked at, and near it where not', () => {
  const [block] = realRam([PAGES]);
  if (block === undefined) throw new Error('no RAM');
  const [bitmap] = bitmapsOf([block]);
  if (bitmap === undefined) throw new Error('no bitmap');
  const share = fc.uniqueArray(fc.nat(PAGES - 1), { minLength: 1 });
  fc.assert(
    fc.property(share, fc.double({ min: 0, max: 1, noNaN: true }), (pages, zero) => {
      bitmap.clear();
      let zeros = 0;
      for (const [index, page] of pages.entries()) {
        bitmap.add(page);
        const isZero = index < pages.length * zero;
        pageOf(block, page)[7] = isZero ? 0 : 1;
        if (isZero) zeros += 1;
      }
      expect(zeroShareOf([block], [bitmap], PAGES)).toBeCloseTo(zeros / pages.length, 10);
      const few = zeroShareOf([block], [bitmap], 10);
      expect(few).toBeGreaterThanOrEqual(0);
      expect(few).toBeLessThanOrEqual(1);
    }),
    { numRuns: 50 },
  );
});

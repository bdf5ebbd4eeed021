import { expect, test } from 'vitest';

import { bootImage, bootSector, FLOPPY_BYTES, listedBytes } from '../src/peer/boot-sector.ts';
import { parameterOffsets } from '../src/peer/boot-sector-listing.ts';

const MIB = 2 ** 20;

function parameters(sector: Uint8Array) {
  const view = new DataView(sector.buffer);
  const at = (offset: number): number => view.getUint32(offset, true);
  return Object.fromEntries(
    Object.entries(parameterOffsets).map(([name, offset]) => [name, at(offset)]),
  ) as Record<keyof typeof parameterOffsets, number>;
}

test('the sector is one that firmware starts', () => {
  const sector = bootSector({ memoryBytes: 64 * MIB, workload: 'idle', rate: 0 });
  expect(sector).toHaveLength(512);
  expect([...sector.subarray(510)]).toEqual([0x55, 0xaa]);
  expect(Buffer.from(sector.subarray(0, 0x1e)).toString('hex')).toBe(
    'fae4920c02e69231c08ed8660f0116307d0f20c00c010f22c0ea1e7c0800',
  );
});

test('it comes first on a disk of a size that firmware knows', () => {
  const plan = { memoryBytes: 64 * MIB, workload: 'sweep', rate: 1000 } as const;
  const image = bootImage(plan);
  expect(image).toHaveLength(FLOPPY_BYTES);
  expect(image.subarray(0, 512)).toEqual(bootSector(plan));
  expect(image.subarray(512).every((byte) => byte === 0)).toBe(true);
});

test('its guest knows how much memory it has, and how much of it to touch in a millisecond', () => {
  const at = (workload: 'idle' | 'random', rate: number) =>
    parameters(bootSector({ memoryBytes: 2048 * MIB, workload, rate }));
  expect(at('random', 130_000)).toMatchObject({
    memoryEnd: 0x8000_0000,
    pageCount: 2047 * 256,
    batch: 130,
  });
  expect(at('random', 0).batch).toBe(0xffff_ffff);
  expect(at('idle', 0).batch).toBe(0);
});

test.each([
  ['sweep', 2],
  ['random', 20],
] as const)('%s comes to every page', (workload, rounds) => {
  const { pageCount, multiplier, increment } = parameters(
    bootSector({ memoryBytes: 16 * MIB, workload, rate: 0 }),
  );
  const touched = new Set<number>();
  let state = 0;
  for (let touch = 0; touch < pageCount * rounds; touch++) {
    state = (Math.imul(state, multiplier) + increment) >>> 0;
    touched.add(Number((BigInt(state) * BigInt(pageCount)) >> 32n));
  }
  expect(touched.size).toBe(pageCount);
  expect(Math.max(...touched)).toBe(pageCount - 1);
});

test('a line that is missing from a listing is noticed', () => {
  const lines = ['0000  fa      cli', '0001  e4 92   in al, 0x92', '0003  90      nop'];
  expect([...listedBytes(lines.join('\n'))]).toEqual([0xfa, 0xe4, 0x92, 0x90]);
  expect(() => listedBytes([lines[0], lines[2]].join('\n'))).toThrow('skips to 0003');
});

import type { ControlMessage } from '@godwit/transport';
import { expect, test } from 'vitest';
import { sharedCapabilities, unsupportedCapabilities } from '../src/capabilities.ts';
import type { RamBlock } from '../src/memory/ram-block.ts';
import { type AdoptionTerms, hasCapability, reasonToRefuse } from '../src/migration/adoption.ts';

type Start = Extract<ControlMessage, { readonly t: 'start' }>;

function block(id: string, pages: number): RamBlock {
  return { id, byteLength: pages * 4096, pageBytes: 4096, address: 2 ** 40, backing: 'anon' };
}

const terms: AdoptionTerms = { blocks: [block('pc.ram', 256), block('vga', 2)], uuid: undefined };
const start: Start = {
  t: 'start',
  page: 4096,
  blocks: [
    ['pc.ram', 256 * 4096],
    ['vga', 2 * 4096],
  ],
  caps: [],
  uuid: null,
};

test('a source with the same RAM is taken, with any of the shared capabilities', () => {
  expect(reasonToRefuse(start, terms)).toBeUndefined();
  const all = { ...start, caps: sharedCapabilities, channels: 4 };
  expect(reasonToRefuse(all, terms)).toBeUndefined();
});

test('a capability that is not shared is refused by name', () => {
  for (const name of [...unsupportedCapabilities, 'events', 'return-path', 'x-new', '']) {
    expect(reasonToRefuse({ ...start, caps: ['postcopy-ram', name] }, terms)).toBe(
      `capability '${name}' is not supported here`,
    );
  }
});

test('page channels come with multifd, and within its limits', () => {
  const withMultifd = { ...start, caps: ['multifd'] };
  for (const channels of [0, 33]) {
    expect(reasonToRefuse({ ...withMultifd, channels }, terms)).toBe(
      `${channels} page channels; multifd takes 1 to 32`,
    );
  }
  expect(reasonToRefuse(withMultifd, terms)).toBe('0 page channels; multifd takes 1 to 32');
  expect(reasonToRefuse({ ...start, channels: 1 }, terms)).toBe(
    '1 page channels; multifd takes 0 to 0',
  );
});

test('compression comes with page channels, and by a method that is known here', () => {
  const withPages = { ...start, caps: ['multifd'], channels: 2 };
  expect(reasonToRefuse({ ...withPages, compression: 'zlib' }, terms)).toBeUndefined();
  for (const method of ['zstd', 'none', '']) {
    expect(reasonToRefuse({ ...withPages, compression: method }, terms)).toBe(
      `multifd-compression '${method}' is not supported here`,
    );
  }
  expect(reasonToRefuse({ ...start, compression: 'zlib' }, terms)).toBe(
    'compression takes page channels',
  );
});

test('heartbeats come at an interval that can be kept', () => {
  for (const heartbeat of [10, 1000, 600_000]) {
    expect(reasonToRefuse({ ...start, heartbeat }, terms)).toBeUndefined();
  }
  for (const heartbeat of [0, 9, 600_001]) {
    expect(reasonToRefuse({ ...start, heartbeat }, terms)).toBe(
      `a heartbeat every ${heartbeat} ms is not given here`,
    );
  }
});

test('pages of another size are refused with both sizes', () => {
  expect(reasonToRefuse({ ...start, page: 16_384 }, terms)).toBe(
    'the page size is 4096 bytes here, 16384 at the source',
  );
});

test('other RAM is refused with what each side has', () => {
  const [ram, vga] = start.blocks as [[string, number], [string, number]];
  const others: Start['blocks'][] = [
    [ram],
    [vga, ram],
    [ram, vga, ['rom', 4096]],
    [ram, ['vga', 3 * 4096]],
    [ram, ['VGA', 2 * 4096]],
    [],
  ];
  for (const blocks of others) {
    const theirs = blocks.map(([id, bytes]) => `${id} of ${bytes} bytes`).join(', ');
    expect(reasonToRefuse({ ...start, blocks }, terms)).toBe(
      `RAM differs: pc.ram of 1048576 bytes, vga of 8192 bytes here, ${theirs} at the source`,
    );
  }
});

test("another guest's UUID is refused where the source asks for it to be compared", () => {
  const caps = ['validate-uuid'];
  const ours = { ...terms, uuid: 'a' };
  expect(reasonToRefuse({ ...start, caps, uuid: 'b' }, ours)).toBe(
    "the guest's UUID is a here, b at the source",
  );
  expect(reasonToRefuse({ ...start, caps, uuid: 'a' }, ours)).toBeUndefined();
});

test('UUIDs are not compared unasked, nor where a side has none', () => {
  const caps = ['validate-uuid'];
  const ours = { ...terms, uuid: 'a' };
  expect(reasonToRefuse({ ...start, uuid: 'b' }, ours)).toBeUndefined();
  expect(reasonToRefuse({ ...start, caps, uuid: null }, ours)).toBeUndefined();
  expect(reasonToRefuse({ ...start, caps, uuid: 'b' }, terms)).toBeUndefined();
});

test('a destination without RAM takes nothing', () => {
  expect(reasonToRefuse(start, { blocks: [], uuid: undefined })).toBeTypeOf('string');
});

test('a capability is on when the source names it', () => {
  expect(hasCapability({ ...start, caps: ['postcopy-ram'] }, 'postcopy-ram')).toBe(true);
  expect(hasCapability({ ...start, caps: ['postcopy-ram'] }, 'postcopy-preempt')).toBe(false);
});

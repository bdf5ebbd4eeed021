import { expect, test } from 'vitest';
import { badPages } from '../../support/guest-memory.ts';

/** Byte 0 of each of 100 pages, after a sweep that has come as far as `edge`, in its round `round`. */
function swept(edge: number, round: number): Uint8Array {
  return Uint8Array.from({ length: 100 }, (_, page) => (page < edge ? round + 1 : round) % 256);
}

test.each([
  [0, 5],
  [1, 5],
  [99, 5],
  [100, 5],
  [50, 255],
])(
  'a sweep that stands at page %i in round %i is none that QEMU would object to',
  (edge, round) => {
    expect(badPages(swept(edge, round))).toEqual([]);
  },
);

test.each([
  ['of the sweep before', 20, 4],
  ['of a sweep to come', 20, 7],
  ['that reads as zero', 20, 0],
  ['from ahead of the sweep', 20, 5],
  ['from behind the sweep', 70, 6],
])('a page %s is found', (_what, page, byte) => {
  const bytes = swept(50, 5);
  bytes[page] = byte;
  expect(badPages(bytes)).not.toEqual([]);
});

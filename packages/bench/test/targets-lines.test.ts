import { expect, test } from 'vitest';

import { judgeFigure } from '../src/targets/judge.ts';
import type { Sides, Target } from '../src/targets/target-spec.ts';
import { targetsLines } from '../src/targets/targets-lines.ts';

const ofLimit: Target = { of: 'limit', bound: 'at-least', value: 0.9 };
const ofPeer: Target = { of: 'peer', bound: 'at-least', value: 1 };

function figure(runs: readonly Sides[], ...targets: Target[]) {
  const names = { key: 'rate', label: 'migration', unit: 'GB/s' };
  return judgeFigure({ ...names, of: (sides: Sides) => sides, targets }, runs);
}

const compared = [
  { ours: 4, limit: 5, peer: 2 },
  { ours: 4.5, limit: 5, peer: 2 },
];

function linesOf(...figures: ReturnType<typeof figure>[]): string[] {
  const row = { key: 'precopy-unix', label: 'precopy, 1 GiB', figures, peerFailed: 'it ended' };
  const failed = { key: 'postcopy', label: 'postcopy', figures: [], failed: 'it never ended' };
  const qemu = { command: 'qemu', version: '10.0.13', accelerator: 'kvm' } as const;
  const peer = { type: 'qemu', ...qemu } as const;
  return targetsLines({ machine: 'a machine', runs: 2, peer, rows: [row, failed] });
}

test('a figure stands beside its limit, QEMU, its targets, and which of them it misses', () => {
  const lines = linesOf(figure(compared, ofLimit, ofPeer));
  expect(lines.slice(0, 3)).toEqual([
    'godwit bench targets: 2 runs each, median (min–max)',
    'a machine',
    'beside QEMU 10.0.13 with kvm: qemu',
  ]);
  expect(lines[5]).toBe('precopy-unix: precopy, 1 GiB');
  expect(lines[6]?.trim().split(/ {2,}/)).toEqual([
    'migration',
    '4.25 (4–4.50) GB/s',
    '5',
    '0.85 (0.80–0.90)',
    '2',
    '2.13 (2–2.25)',
    '≥ 0.9 of the limit, ≥ QEMU',
    'missed: ≥ 0.9 of the limit',
  ]);
  expect(lines.slice(7)).toEqual([
    '  without QEMU: it ended',
    'postcopy: postcopy',
    '  failed: it never ended',
    '',
    '0 met, 1 missed, 1 job failed',
  ]);
});

test('what was not measured is neither met nor missed', () => {
  const lines = linesOf(
    figure([{ ours: 4, limit: 4 }], ofLimit, ofPeer),
    figure([{ ours: 4, limit: 4 }], ofLimit),
    figure([{ ours: 4 }]),
    figure([], ofPeer),
  );
  expect(lines.slice(6, 10).map((line) => line.trim().split(/ {2,}/).slice(1))).toEqual([
    ['4 GB/s', '4', '1', '–', '–', '≥ 0.9 of the limit, ≥ QEMU', 'open: ≥ QEMU'],
    ['4 GB/s', '4', '1', '–', '–', '≥ 0.9 of the limit', 'met'],
    ['4 GB/s', '–', '–', '–', '–', '–'],
    ['–', '–', '–', '–', '–', '≥ QEMU', 'open'],
  ]);
  expect(lines.at(-1)).toBe('1 met, 0 missed, 2 open (not all of it was measured), 1 job failed');
});

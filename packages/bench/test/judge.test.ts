import { expect, test } from 'vitest';

import { allTogether, judge, judgeFigure, targetText } from '../src/targets/judge.ts';
import type { Sides, Target, TargetFigure } from '../src/targets/target-spec.ts';

function figureWith(...targets: Target[]): TargetFigure<Sides> {
  return { key: 'rate', label: 'migration', unit: 'GB/s', of: (sides) => sides, targets };
}

const ofLimit: Target = { of: 'limit', bound: 'at-least', value: 0.9 };
const ofPeer: Target = { of: 'peer', bound: 'at-least', value: 1.5 };

test('ratios are those of each run, before the median', () => {
  const runs = [
    { ours: 1, limit: 2, peer: 1 }, // a slow moment of the machine
    { ours: 4, limit: 5, peer: 2 },
    { ours: 9, limit: 10, peer: 6 },
  ];
  expect(judgeFigure(figureWith(ofLimit, ofPeer), runs)).toMatchObject({
    ours: { median: 4, min: 1, max: 9 },
    limit: { median: 5 },
    ofLimit: { median: 0.8, min: 0.5, max: 0.9 },
    ofPeer: { median: 1.5, min: 1, max: 2 },
    targets: [
      { text: '≥ 0.9 of the limit', verdict: 'missed' },
      { text: '≥ 1.5 × QEMU', verdict: 'met' },
    ],
    verdict: 'missed',
  });
});

test.each([
  [{ bound: 'at-most', value: 4 }, 'met'],
  [{ bound: 'at-most', value: 3.9 }, 'missed'],
  [{ bound: 'at-least', value: 4 }, 'met'],
  [{ bound: 'at-least', value: 4.1 }, 'missed'],
  [{ bound: 'at-most', value: 4, inEveryRun: true }, 'missed'],
  [{ bound: 'at-most', value: 9, inEveryRun: true }, 'met'],
  [{ bound: 'at-least', value: 4, inEveryRun: true }, 'missed'],
  [{ bound: 'at-least', value: 1, inEveryRun: true }, 'met'],
] as const)('%o of 4 in the middle, from 1 to 9, is %s', (bound, verdict) => {
  expect(judge({ of: 'ours', ...bound }, { ours: { median: 4, min: 1, max: 9 } })).toBe(verdict);
});

test('what is compared with nothing stays open, and is never met', () => {
  const { verdict, targets, ...figure } = judgeFigure(figureWith(ofLimit, ofPeer), [
    { ours: 10, limit: 10 },
  ]);
  expect(figure).not.toHaveProperty('peer');
  expect(targets.map((target) => target.verdict)).toEqual(['met', 'open']);
  expect(verdict).toBe('open');
});

test('a figure of which no run has anything is open, not perfect', () => {
  const target: Target = { of: 'ours', bound: 'at-most', value: 50 };
  const nothing = { ...figureWith(target), of: () => undefined };
  const judged = judgeFigure(nothing, [{ ours: 1 }]);
  expect(judged).not.toHaveProperty('ours');
  expect(judged.verdict).toBe('open');
});

test('a figure without targets has no verdict', () => {
  expect(judgeFigure(figureWith(), [{ ours: 1 }])).not.toHaveProperty('verdict');
  expect(allTogether([])).toBeUndefined();
  expect(allTogether(['met', 'met'])).toBe('met');
  expect(allTogether(['met', 'open', 'missed'])).toBe('missed');
});

test.each([
  [{ of: 'ours', bound: 'at-most', value: 40 }, '≤ 40 ms'],
  [{ of: 'ours', bound: 'at-most', value: 40, inEveryRun: true }, 'never > 40 ms'],
  [{ of: 'limit', bound: 'at-least', value: 0.9 }, '≥ 0.9 of the limit'],
  [{ of: 'peer', bound: 'at-least', value: 1 }, '≥ QEMU'],
  [{ of: 'peer', bound: 'at-least', value: 1.5 }, '≥ 1.5 × QEMU'],
  [{ of: 'peer', bound: 'at-most', value: 1, inEveryRun: true }, 'never > QEMU'],
] as const)('%o reads %s', (target, text) => {
  expect(targetText(target, 'ms')).toBe(text);
});

import { expect, test } from 'vitest';

import { shareOf } from '../../src/demo/demo-state.ts';
import { PhaseTrack } from '../../src/demo/phase-track.ts';

function outline(track: PhaseTrack): (string | number)[][] {
  return track.phases.map((phase) => [phase.name, shareOf(phase), phase.note]);
}

test('a precopy goes pass by pass, the last with the guest stopped', () => {
  const track = new PhaseTrack();
  track.status('active', 0);
  track.pass(1, 1);
  track.progress(1000);
  track.progress(250);
  expect(outline(track)).toEqual([['precopy pass 1', 0.75, '']]);
  track.pass(2, 5);
  track.progress(100);
  track.status('device', 6);
  expect(outline(track).at(-1)).toEqual(['precopy pass 2', 0, 'guest stopped']);
  track.status('completed', 7);
  expect(outline(track)).toEqual([
    ['precopy pass 1', 1, ''],
    ['precopy pass 2', 1, 'guest stopped'],
  ]);
});

test('postcopy breaks a pass off, a cut breaks postcopy off, and recovery takes up what is left', () => {
  const track = new PhaseTrack();
  track.pass(1, 0);
  track.progress(1000);
  track.status('device', 1);
  track.status('postcopy-device', 1);
  track.status('postcopy-active', 2);
  track.progress(800);
  track.progress(400);
  track.status('postcopy-paused', 3);
  track.progress(0); // nobody's any more
  track.status('postcopy-recover-setup', 4);
  track.status('postcopy-paused', 5); // an attempt that failed is no further cut
  track.status('postcopy-recover', 6);
  track.status('postcopy-active', 7);
  track.note('up in 3 ms');
  track.progress(500);
  track.progress(250);
  expect(outline(track)).toEqual([
    ['precopy pass 1', 0, 'to postcopy'],
    ['postcopy', 0.5, 'cut'],
    ['recovery 1', 0.5, 'up in 3 ms'],
  ]);
  track.status('completed', 8);
  expect(track.phases.map(({ beganMillis, endedMillis }) => [beganMillis, endedMillis])).toEqual([
    [0, 1],
    [2, 3],
    [7, 8],
  ]);
});

test('a phase nobody has asked about is at its beginning until it ends', () => {
  const track = new PhaseTrack();
  track.pass(1, 0);
  expect(outline(track)).toEqual([['precopy pass 1', 0, '']]);
  track.pass(2, 1);
  expect(outline(track)[0]).toEqual(['precopy pass 1', 1, '']);
});

test('a failure breaks the phase off', () => {
  const track = new PhaseTrack();
  track.pass(1, 0);
  track.progress(1000);
  track.progress(900);
  track.status('failed', 1);
  expect(outline(track)).toEqual([['precopy pass 1', expect.closeTo(0.1), 'failed']]);
});

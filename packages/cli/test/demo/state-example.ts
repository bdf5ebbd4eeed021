import type { DemoState } from '../../src/demo/demo-state.ts';

/** A demo in the middle of things. */
export const stateExample: DemoState = {
  title: 'godwit demo: 256 MiB, zipf, unix, postcopy, 1 cut',
  elapsedMillis: 3456,
  source: { pid: 1234, status: 'postcopy-active', runState: 'finish-migrate' },
  destination: { pid: 1235, status: 'postcopy-active', runState: 'running' },
  phases: [
    {
      name: 'precopy pass 1',
      totalBytes: 272_629_760,
      remainingBytes: 1000,
      beganMillis: 500,
      endedMillis: 1300,
      isBroken: false,
      note: '',
    },
    {
      name: 'postcopy',
      totalBytes: 104_857_600,
      remainingBytes: 52_428_800,
      beganMillis: 1400,
      endedMillis: 2400,
      isBroken: true,
      note: 'cut',
    },
    {
      name: 'recovery 1',
      totalBytes: 52_428_800,
      remainingBytes: 39_321_600,
      beganMillis: 2410,
      endedMillis: undefined,
      isBroken: false,
      note: 'up in 3.10 ms',
    },
  ],
  log: [
    { millis: 2400, who: 'demo', text: 'the link is cut' },
    { millis: 2401, who: 'source', text: 'postcopy-paused' },
  ],
  bytesPerSecond: 61_000_000,
  faults: { served: 1234, p50Millis: 0.085, p99Millis: 2.3 },
};

import type { Parameters } from '@godwit/core';
import { expect, test } from 'vitest';

import type { MigrateInfo } from '../../src/migrate-info.ts';
import type { SideView } from '../../src/watch/watched-side.ts';
import { whyLines } from '../../src/why/why-lines.ts';
import { type Limit, limits, whyOf } from '../../src/why/why.ts';
import { painterFor } from '../../src/painter.ts';
import type { WhySample } from '../../src/why/why-sample.ts';
import { destination, ram, source } from '../watch/view-example.ts';

/** What changes in a second. */
interface Second {
  readonly status?: string;
  readonly parameters?: Partial<Parameters>;
  readonly bytes?: number;
  readonly pages?: number;
  readonly dirtyPagesRate?: number;
  readonly syncs?: number;
  readonly requests?: number;
  /** Milliseconds of the sender's second. */
  readonly paced?: number;
  readonly cpu?: number;
  readonly write?: number;
  readonly threads?: number;
  readonly receiverCpu?: number;
  readonly waited?: number;
  readonly served?: number;
  readonly busy?: number;
  readonly error?: string;
  readonly sides?: 'source' | 'destination' | 'both';
}

/** Two samples a second apart. */
function samples(second: Second): [WhySample, WhySample] {
  return [sample(second, 0), sample(second, 1)];
}

function sample(second: Second, seconds: 0 | 1): WhySample {
  const { status = 'active', sides = 'source', busy = 0.5, error } = second;
  const grown = (perSecond = 0): number => 1_000_000 + perSecond * seconds;
  const described = error === undefined ? {} : { 'error-desc': error };
  const sourceInfo: MigrateInfo = {
    status,
    ...described,
    'expected-downtime': 900,
    ram: {
      ...ram,
      transferred: grown(second.bytes),
      normal: grown(second.pages ?? Math.round((second.bytes ?? 0) / 4096)),
      'dirty-pages-rate': second.dirtyPagesRate ?? 0,
      'dirty-sync-count': second.syncs ?? 1,
      'postcopy-requests': grown(second.requests),
    },
    'x-senders': {
      threads: second.threads ?? 1,
      'cpu-us': grown((second.cpu ?? 0) * 1000),
      'paced-us': grown((second.paced ?? 0) * 1000),
      'write-us': grown((second.write ?? 0) * 1000),
    },
  };
  const faults = destination.migrate['x-faults'];
  if (faults === undefined) throw new Error('the example has faults');
  const destinationInfo: MigrateInfo = {
    status,
    'x-receivers': {
      threads: second.threads ?? 1,
      'cpu-us': grown((second.receiverCpu ?? 0) * 1000),
    },
    'x-faults': {
      ...faults,
      served: grown(second.served),
      'waited-us': grown((second.waited ?? 0) * 1000),
    },
  };
  const limitsSet = { 'max-bandwidth': 0, 'max-postcopy-bandwidth': 0, ...second.parameters };
  const there: SideView = { ...source, migrate: sourceInfo, parameters: limitsSet };
  const arrived: SideView = { ...destination, migrate: destinationInfo };
  return {
    millis: seconds * 1000,
    ...(sides === 'destination' ? {} : { source: there }),
    ...(sides === 'source' ? {} : { destination: arrived }),
    host: { totalMillis: 2000 * seconds, busyMillis: 2000 * seconds * busy },
  };
}

const capped = { 'max-bandwidth': 60e6 };
const dirtying = { syncs: 4, dirtyPagesRate: 14_000 };

test.each<[string, Second, Limit[]]>([
  ['no migration', { status: 'none' }, ['not-running']],
  ['one that has ended', { status: 'completed' }, ['not-running']],
  ['one that has failed', { status: 'failed', error: 'refused' }, ['not-running']],
  ['a lost link', { status: 'postcopy-paused', error: 'cut' }, ['paused']],
  ['an operator to be waited for', { status: 'pre-switchover' }, ['operator']],
  ['a handshake', { status: 'setup' }, ['peer']],
  ['a recovery under way', { status: 'postcopy-recover-setup' }, ['peer']],
  ['a sender that sleeps', { bytes: 58e6, paced: 800, parameters: capped }, ['bandwidth-cap']],
  ['a rate at its limit', { bytes: 59e6, paced: 100, parameters: capped }, ['bandwidth-cap']],
  ['a limit far away', { bytes: 20e6, cpu: 300, write: 500, parameters: capped }, ['nothing']],
  [
    'a guest that writes as much as is sent, capped',
    { bytes: 60e6, paced: 700, parameters: capped, ...dirtying },
    ['dirty-rate', 'bandwidth-cap'],
  ],
  [
    'the first pass, whose sync found all of memory',
    { bytes: 60e6, cpu: 300, write: 400, dirtyPagesRate: 1e6, syncs: 1 },
    ['nothing'],
  ],
  [
    'a guest that writes a tenth of what is sent',
    { bytes: 60e6, cpu: 300, write: 400, dirtyPagesRate: 1400, syncs: 4 },
    ['nothing'],
  ],
  ['a sender at work', { bytes: 3e9, cpu: 950, write: 900 }, ['cpu']],
  ['one of four senders at work', { bytes: 3e9, cpu: 950, write: 900, threads: 4 }, ['nothing']],
  ['a host without an idle processor', { bytes: 1e9, cpu: 500, write: 700, busy: 1 }, ['cpu']],
  [
    'a sender that waits for its turn, in a write',
    { bytes: 1e9, cpu: 300, write: 900, busy: 1 },
    ['cpu'],
  ],
  ['a full socket on a busy host', { bytes: 5e6, cpu: 20, write: 970, busy: 1 }, ['link']],
  ['a full socket', { bytes: 5e6, cpu: 20, write: 970 }, ['link']],
  ['a write that does not return', { bytes: 0, cpu: 0, write: 0 }, ['link']],
  [
    'a full socket, and a receiver that idles',
    { bytes: 5e6, cpu: 20, write: 970, receiverCpu: 30, sides: 'both' },
    ['link'],
  ],
  [
    'a full socket, and a receiver at work',
    { bytes: 1e9, cpu: 300, write: 970, receiverCpu: 950, sides: 'both' },
    ['destination-cpu'],
  ],
  [
    'a receiver at work behind a limit',
    { bytes: 59e6, paced: 900, receiverCpu: 950, parameters: capped, sides: 'both' },
    ['bandwidth-cap'],
  ],
  [
    'a guest that waits, while nearly all that is sent was asked for',
    {
      status: 'postcopy-active',
      bytes: 8e6,
      pages: 2000,
      requests: 1900,
      waited: 900,
      sides: 'both',
    },
    ['faults'],
  ],
  [
    'a guest that waits behind a crawling bulk',
    {
      status: 'postcopy-active',
      bytes: 20e6,
      pages: 5000,
      requests: 300,
      waited: 600,
      paced: 900,
      parameters: { 'max-postcopy-bandwidth': 20e6 },
      sides: 'both',
    },
    ['bandwidth-cap', 'faults'],
  ],
  [
    'many requests, where only the source is asked',
    { status: 'postcopy-active', bytes: 8e6, pages: 2000, requests: 1900, cpu: 300, write: 400 },
    ['faults'],
  ],
  [
    'a guest that waits, where only the destination is asked',
    { status: 'postcopy-active', waited: 900, served: 5000, sides: 'destination' },
    ['faults'],
  ],
])('%s', (_case, second, expected) => {
  const verdict = whyOf(...samples(second));
  expect(verdict.findings.map(({ limit }) => limit)).toEqual(expected);
  expect(verdict.limit).toBe(expected[0]);
});

test('the figures that show it are said, and what would help', () => {
  const verdict = whyOf(...samples({ bytes: 60e6, paced: 700, parameters: capped, ...dirtying }));
  expect(whyLines(verdict, painterFor(false))).toEqual([
    'dirty-rate: the guest writes about as fast as its memory is sent',
    '  the guest writes 14000 pages/s (57.3 MB/s), 14648 pages/s are sent (60.0 MB/s)',
    '  a pass leaves 96 % of what it sends',
    '  stopped now, the guest would stand still for 900 ms; the limit is 300 ms',
    '  → switch to postcopy (migrate-start-postcopy), or raise max-bandwidth or downtime-limit',
    '  (active, looked at for 1.0 s)',
    'also bandwidth-cap: it is as fast as its bandwidth limit allows',
    '  60.0 MB/s of at most 60.0 MB/s',
    '  the sender sleeps 70 % of its time as the limit asks',
    '  100 MiB left: 1.75 s at this speed',
    '  → raise max-bandwidth (in postcopy: max-postcopy-bandwidth); 0 is no limit',
  ]);
});

test('a migration that began between the two looks is judged by what is there', () => {
  const [, after] = samples({ bytes: 58e6, paced: 800, parameters: capped });
  const before: WhySample = { millis: 0, source: { ...source, migrate: {} } };
  expect(whyOf(before, after).figures.sent?.bytesPerSecond).toBeGreaterThan(0);
});

test('two looks at the same moment divide by nothing', () => {
  const [before] = samples({ bytes: 1 });
  const { figures } = whyOf(before, before);
  expect(JSON.stringify(figures)).not.toContain('null'); // what NaN and Infinity become
});

test('every limit says what it is', () => {
  for (const text of Object.values(limits)) expect(text.length).toBeGreaterThan(10);
});

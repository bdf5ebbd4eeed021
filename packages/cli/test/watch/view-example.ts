import type { PageMap } from '@godwit/core';

import type { WatchState } from '../../src/watch/watch-state.ts';
import type { SideView } from '../../src/watch/watched-side.ts';

const CELLS = 78 * 7;

/** Half of memory has come, some of it is stale; the guest has waited for some. */
function maps(): { source: PageMap; destination: PageMap } {
  const grid = { 'page-size': 4096, 'pages-per-cell': 128 };
  const pages = CELLS * 128;
  const of = (count: (cell: number) => number): number[] =>
    Array.from({ length: CELLS }, (_, cell) => count(cell));
  const received = of((cell) => (cell < CELLS / 2 ? 128 : 0));
  const dirty = of((cell) => (cell < CELLS / 2 ? (cell % 9 === 0 ? 100 : 0) : 128));
  const faulted = of((cell) => (cell > CELLS / 2 && cell % 50 === 0 ? 3 : 0));
  const waiting = of((cell) => (cell === 400 ? 1 : 0));
  return {
    source: { side: 'source', ...grid, blocks: [{ id: 'ram', pages, dirty, present: dirty }] },
    destination: {
      side: 'destination',
      ...grid,
      blocks: [{ id: 'ram', pages, received, waiting, faulted }],
    },
  };
}

const { source: sourceMap, destination: destinationMap } = maps();

export const ram = {
  transferred: 209_715_200,
  remaining: 104_857_600,
  total: 209_715_200,
  duplicate: 1200,
  normal: 51_200,
  'normal-bytes': 209_715_200,
  'dirty-pages-rate': 11_000,
  mbps: 2000,
  'dirty-sync-count': 3,
  'postcopy-requests': 0,
  'page-size': 4096,
  'pages-per-second': 61_000,
  'multifd-bytes': 0,
  'dirty-sync-missed-zero-copy': 0,
  'precopy-bytes': 209_715_200,
  'downtime-bytes': 0,
  'postcopy-bytes': 0,
  'x-requests-repeated': 0,
  'x-requests-impossible': 0,
  'x-prefetched-pages': 0,
};

export const source: SideView = {
  qmp: 'unix:/tmp/a.qmp',
  name: 'A',
  run: { status: 'running', running: true },
  migrate: { status: 'active', 'total-time': 1234, 'expected-downtime': 25, ram },
  parameters: { 'max-bandwidth': 134_217_728, 'downtime-limit': 300 },
  pageMap: sourceMap,
};

export const destination: SideView = {
  qmp: 'unix:/tmp/b.qmp',
  name: 'B',
  run: { status: 'inmigrate', running: false },
  migrate: {
    status: 'active',
    'x-ram': {
      'received-pages': 25_600,
      'total-pages': 51_200,
      'normal-pages': 25_000,
      'zero-pages': 600,
      'duplicate-pages': 3,
      'urgent-pages': 17,
    },
    'x-faults': {
      faults: 18,
      'local-faults': 1,
      requests: 17,
      served: 1845,
      'waited-us': 400_000,
      'latency-p50-us': 332,
      'latency-p90-us': 900,
      'latency-p99-us': 7510,
      'latency-max-us': 9100,
      'latency-dist': [0, 0, 0, 0, 0, 12, 30, 180, 600, 700, 200, 90, 25, 8],
    },
  },
  parameters: {},
  pageMap: destinationMap,
};

export const precopy: WatchState = {
  elapsedMillis: 12_345,
  source,
  destination,
  bytesPerSecond: 95_300_000,
  faultsPerSecond: 400,
};

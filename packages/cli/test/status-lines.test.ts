import { expect, test } from 'vitest';

import type { MigrateInfo } from '../src/migrate-info.ts';
import { statusLines } from '../src/status-lines.ts';

const ram = {
  transferred: 209_715_200,
  remaining: 104_857_600,
  total: 209_715_200,
  duplicate: 1200,
  normal: 51_200,
  'normal-bytes': 209_715_200,
  'dirty-pages-rate': 20_000,
  mbps: 2000,
  'dirty-sync-count': 3,
  'postcopy-requests': 17,
  'page-size': 4096,
  'multifd-bytes': 0,
  'dirty-sync-missed-zero-copy': 0,
  'pages-per-second': 61_000,
  'precopy-bytes': 209_715_200,
  'downtime-bytes': 0,
  'postcopy-bytes': 0,
  'x-requests-repeated': 0,
  'x-requests-impossible': 0,
  'x-prefetched-pages': 0,
};

test('before any migration there is only the guest', () => {
  const lines = statusLines({ status: 'running', running: true }, {});
  expect(lines).toEqual(['guest         running', 'migration     none']);
});

test('a source says what is left, how fast it goes and what the stop would cost', () => {
  const info: MigrateInfo = {
    status: 'active',
    'total-time': 1234,
    'expected-downtime': 25,
    ram,
  };
  expect(statusLines({ status: 'running', running: true }, info)).toEqual([
    'guest         running',
    'migration     active',
    'progress      ████████████░░░░░░░░░░░░  50 %  100 MiB of 200 MiB left',
    'sent          200 MiB at 250 MB/s',
    'pages         51200 with content, 1200 zero',
    'dirty syncs   3, guest writes 20000 pages/s',
    'requests      17 pages asked for by the destination',
    'time          1.23 s',
    'downtime      25.0 ms expected',
  ]);
});

test('a paused source says why, and the downtime that was', () => {
  const info: MigrateInfo = {
    status: 'postcopy-paused',
    'error-desc': 'the destination closed the connection',
    downtime: 3,
    'x-downtime-us': 2345,
    'x-downtime-parts': {
      'stop-guest': 145,
      'pre-switchover': 0,
      'final-sync': 700,
      'last-pages': 300,
      'device-state': 600,
      'run-order': 600,
    },
  };
  const lines = statusLines({ status: 'finish-migrate', running: false }, info);
  expect(lines).toContain('because       the destination closed the connection');
  expect(lines).toContain('downtime      2.35 ms');
  expect(lines).toContain(
    'of which      stop-guest 145 µs, final-sync 700 µs, last-pages 300 µs, device-state 600 µs, run-order 600 µs',
  );
});

test('a destination says where it listens, what has come and how long its guest waited', () => {
  const info: MigrateInfo = {
    status: 'postcopy-active',
    'socket-address': [
      { type: 'unix', path: '/run/a' },
      { type: 'inet', host: '::1', port: '4444' },
    ],
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
      served: 17,
      'waited-us': 4200,
      'latency-p50-us': 85,
      'latency-p90-us': 120,
      'latency-p99-us': 2300,
      'latency-max-us': 5000,
      'latency-dist': [],
    },
  };
  expect(statusLines({ status: 'running', running: true }, info).slice(2)).toEqual([
    'listens at    unix:/run/a, tcp:[::1]:4444',
    'received      ████████████░░░░░░░░░░░░  50 %  25600 of 51200 pages',
    'urgent        17 pages, 3 came twice',
    'faults        18, 17 served from afar; p50 85.0 µs, p99 2.30 ms',
  ]);
});

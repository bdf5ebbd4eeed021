import {
  type ChecksumInfo,
  type DestinationInfo,
  destinationTransitions,
  downtimePartNames,
  type FaultInfo,
  type RamInfo,
  type ReceivedInfo,
  type SourceInfo,
  sourceTransitions,
} from '@godwit/core';

import type { ArgumentSpec } from '../arguments.ts';
import { socketAddressSpec } from './migration-address.ts';

/*
 * What query-migrate answers, member by member: a member that the engine tells and that is missing here
 * does not compile.
 */

type Members<Info> = { readonly [Name in keyof Info]-?: ArgumentSpec };

const int = { type: 'int' } as const;
const optionalInt = { type: 'int', optional: true } as const;
const optionalInts = { type: 'list', of: int, optional: true } as const;

/** QEMU's MigrationStatus. */
export const migrationStatusSpec = {
  type: 'str',
  values: [...new Set([...Object.keys(sourceTransitions), ...Object.keys(destinationTransitions)])],
} as const satisfies ArgumentSpec;

const ram = {
  transferred: int,
  remaining: int,
  total: int,
  duplicate: int,
  normal: int,
  'normal-bytes': int,
  'dirty-pages-rate': int,
  mbps: { type: 'number' },
  'dirty-sync-count': int,
  'postcopy-requests': int,
  'page-size': int,
  'multifd-bytes': int,
  'dirty-sync-missed-zero-copy': int,
  'pages-per-second': int,
  'precopy-bytes': int,
  'downtime-bytes': int,
  'postcopy-bytes': int,
  'x-requests-repeated': int,
  'x-requests-impossible': int,
  'x-prefetched-pages': int,
} as const satisfies Members<RamInfo>;

const received = {
  'received-pages': int,
  'total-pages': int,
  'normal-pages': int,
  'zero-pages': int,
  'duplicate-pages': int,
  'urgent-pages': int,
} as const satisfies Members<ReceivedInfo>;

const faults = {
  faults: int,
  'local-faults': int,
  requests: int,
  served: int,
  'waited-us': int,
  'latency-p50-us': { type: 'number' },
  'latency-p90-us': { type: 'number' },
  'latency-p99-us': { type: 'number' },
  'latency-max-us': { type: 'number' },
  'latency-dist': { type: 'list', of: int },
} as const satisfies Members<FaultInfo>;

const checksum = {
  'damaged-frames': int,
  'damaged-pages': int,
  'last-damaged': {
    type: 'object',
    members: { block: { type: 'str' }, page: int, pages: int },
    optional: true,
  },
} as const satisfies Members<ChecksumInfo>;

const source = {
  status: { ...migrationStatusSpec, optional: true },
  'error-desc': { type: 'str', optional: true },
  'setup-time': optionalInt,
  'total-time': optionalInt,
  'expected-downtime': optionalInt,
  'x-recover-attempt': optionalInt,
  downtime: optionalInt,
  'x-downtime-us': optionalInt,
  'x-downtime-parts': {
    type: 'object',
    members: Object.fromEntries(downtimePartNames.map((name) => [name, int])),
    optional: true,
  },
  ram: { type: 'object', members: ram, optional: true },
  'cpu-throttle-percentage': optionalInt,
  'x-checksum': { type: 'object', members: checksum, optional: true },
  'x-senders': {
    type: 'object',
    members: { threads: int, 'cpu-us': int, 'paced-us': int, 'write-us': int },
    optional: true,
  },
} as const satisfies Members<SourceInfo>;

const destination = {
  status: source.status,
  'error-desc': source['error-desc'],
  'socket-address': { type: 'list', of: socketAddressSpec, optional: true },
  'postcopy-blocktime': optionalInt,
  'postcopy-vcpu-blocktime': optionalInts,
  'postcopy-latency': optionalInt,
  'postcopy-latency-dist': optionalInts,
  'postcopy-vcpu-latency': optionalInts,
  'x-receivers': { type: 'object', members: { threads: int, 'cpu-us': int }, optional: true },
  'x-ram': { type: 'object', members: received, optional: true },
  'x-faults': { type: 'object', members: faults, optional: true },
  'x-checksum': source['x-checksum'],
  'x-guardian': { type: 'str', values: ['watching', 'released', 'absent'], optional: true },
} as const satisfies Members<DestinationInfo>;

/** QEMU's MigrationInfo: a process says what it knows as a source or as a destination. */
export const migrationInfoSpec = {
  type: 'object',
  members: {
    ...source,
    ...destination,
    'blocked-reasons': { type: 'list', of: { type: 'str' }, optional: true },
  },
} as const satisfies ArgumentSpec;

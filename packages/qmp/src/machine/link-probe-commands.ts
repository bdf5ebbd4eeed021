import type { ArgumentSpec } from '../arguments.ts';
import { type CommandTable, defineCommand } from '../command-table.ts';
import { QmpError } from '../errors.ts';
import type { Machine } from './machine.ts';
import { uriAddress } from './migration-address.ts';

const PROBE_MILLIS = 250;
const PROBE_MILLIS_LONGEST = 2_000;

const int = { type: 'int' } as const;

const linkSpec = {
  type: 'object',
  members: {
    bytes: int,
    milliseconds: int,
    bandwidth: int,
    'postcopy-bandwidth': { ...int, optional: true },
    'round-trip-microseconds': int,
  },
} as const satisfies ArgumentSpec;

/** Ours: what the link to a destination that waits carries. */
export function linkProbeCommands({ linkProbe }: Machine): CommandTable {
  return {
    'x-probe-link': defineCommand({
      arguments: { uri: { type: 'str' }, milliseconds: { ...int, optional: true } },
      returns: linkSpec,
      async run({ uri, milliseconds = PROBE_MILLIS }) {
        const sample = await linkProbe.measure(uriAddress(uri), checkMillis(milliseconds));
        const { placedBandwidth } = sample;
        return {
          bytes: sample.bytes,
          milliseconds: Math.round(sample.millis),
          bandwidth: sample.bandwidth,
          ...(placedBandwidth === undefined ? {} : { 'postcopy-bandwidth': placedBandwidth }),
          'round-trip-microseconds': Math.round(sample.roundTripMillis * 1000),
        };
      },
    }),
  };
}

function checkMillis(millis: number): number {
  if (millis >= 0 && millis <= PROBE_MILLIS_LONGEST) return millis;
  const message = `Parameter 'milliseconds' expects 0 to ${PROBE_MILLIS_LONGEST}`;
  throw new QmpError('GenericError', message);
}

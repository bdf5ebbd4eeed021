import type { ArgumentSpec } from '../arguments.ts';
import { type CommandTable, defineCommand } from '../command-table.ts';
import { measureModes, timeUnits } from './dirty-rate.ts';
import type { Machine } from './machine.ts';

const timeUnit = { type: 'str', values: timeUnits, optional: true } as const;

const int = { type: 'int' } as const;

const dirtyRateSpec = {
  type: 'object',
  members: {
    status: { type: 'str', values: ['unstarted', 'measuring', 'measured'] },
    'dirty-rate': { ...int, optional: true },
    'start-time': int,
    'calc-time': int,
    'calc-time-unit': { type: 'str', values: timeUnits },
    'sample-pages': int,
    mode: { type: 'str', values: measureModes },
    'x-pages': {
      type: 'object',
      members: {
        'page-size': int,
        total: int,
        present: int,
        zero: int,
        'dirty-curve': {
          type: 'list',
          of: { type: 'object', members: { 'elapsed-us': int, pages: int } },
        },
      },
      optional: true,
    },
  },
} as const satisfies ArgumentSpec;

/** How fast the guest writes; begun by one command, told by the other. */
export function dirtyRateCommands({ migrations: { dirtyRate } }: Machine): CommandTable {
  return {
    'calc-dirty-rate': defineCommand({
      arguments: {
        'calc-time': { type: 'int' },
        'calc-time-unit': timeUnit,
        'sample-pages': { type: 'int', optional: true },
        mode: { type: 'str', values: measureModes, optional: true },
      },
      run: async (args) =>
        await dirtyRate.start({
          calcTime: args['calc-time'],
          unit: args['calc-time-unit'] ?? 'second',
          samplePages: args['sample-pages'],
          mode: args.mode ?? 'page-sampling',
        }),
    }),
    'query-dirty-rate': defineCommand({
      arguments: { 'calc-time-unit': timeUnit },
      returns: dirtyRateSpec,
      run: (args) => dirtyRate.info(args['calc-time-unit'] ?? 'second'),
    }),
  };
}

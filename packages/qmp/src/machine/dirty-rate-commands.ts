import { type CommandTable, defineCommand } from '../command-table.ts';
import { measureModes, timeUnits } from './dirty-rate.ts';
import type { Machine } from './machine.ts';

const timeUnit = { type: 'str', values: timeUnits, optional: true } as const;

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
      run: (args) => dirtyRate.info(args['calc-time-unit'] ?? 'second'),
    }),
  };
}

import {
  benchScale,
  type BenchTransport,
  benchTransports,
  scaleLines,
  type ScaleRow,
} from '@godwit/bench';
import { type Command, Option } from 'commander';

import { interruptible } from '../interruption.ts';
import { checkCount, checkSize } from '../option-values.ts';
import { exactSize } from '../sizes.ts';
import { teach } from '../teach.ts';
import { asUsage } from './bench-options.ts';

interface CommandOptions {
  readonly sizes: readonly number[];
  readonly transport: BenchTransport;
  readonly channels: number;
  readonly runs: number;
  readonly json?: true;
}

const DEFAULT_SIZES = '256M,1G,4G,16G';

/** `godwit bench scale`: whether a gigabyte costs the same in a small guest and in a large one. */
export function addScale(bench: Command): void {
  const sizes = new Option('--sizes <sizes>', 'of the guests');
  const transport = new Option('--transport <kind>', 'what they go over');
  const command = bench
    .command('scale')
    .description('what a gigabyte costs in guests of several sizes')
    .addOption(sizes.argParser(checkSizes).default(checkSizes(DEFAULT_SIZES), DEFAULT_SIZES))
    .addOption(transport.choices(benchTransports).default('unix'))
    .option('--channels <count>', 'streams of pages, 1 to 16', checkCount, 1)
    .option('--runs <count>', 'how often each; medians are shown', checkCount, 3)
    .option('--json', 'for programs')
    .action(runScale);
  teach(command, [
    ['256M to 16G, three runs each', 'godwit bench scale'],
    [
      'two sizes, over tcp with four streams',
      'godwit bench scale --sizes 1G,4G --transport tcp --channels 4',
    ],
  ]);
}

async function runScale(options: CommandOptions): Promise<void> {
  using interruption = interruptible();
  const { sizes, transport, channels, runs, json = false } = options;
  const hooks = {
    signal: interruption.signal,
    onRow: ({ memoryBytes }: ScaleRow) => console.error(`${exactSize(memoryBytes)} is done`),
  };
  const result = await asUsage(benchScale({ sizes, transport, channels, runs }, hooks));
  console.log(json ? JSON.stringify(result) : scaleLines(result).join('\n'));
}

function checkSizes(text: string): readonly number[] {
  return text.split(',').map(checkSize);
}

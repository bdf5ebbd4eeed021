import type { MemoryMode } from '@godwit/core';
import { workloads, type Workload } from '@godwit/guest';
import { type Command, InvalidArgumentError, Option } from 'commander';

import { runDemo } from '../demo/demo.ts';
import { openDisplay } from '../demo/demo-display.ts';
import { isProved, reportLines } from '../demo/demo-report.ts';
import type { DemoOptions } from '../demo/plan.ts';
import { exitCodes } from '../errors.ts';
import { formatBytes } from '../figures.ts';
import { interruptible } from '../interruption.ts';
import { parseSize } from '../sizes.ts';
import { needLinux } from '../platform.ts';
import { teach } from '../teach.ts';
import { memoryModeOption } from './guest.ts';

const MEMORY_BYTES_MIN = 16 * 1024 ** 2;
const CUTS_MAX = 100;
const PAGE_BYTES = 4096;

const AFTER = `The exit code is 1 unless every page is right and the guest ran on one side at a time.
With --json: a line {"millis", "who", "text"} for each thing that happens, then {"proved", "result"}.`;

interface CommandOptions {
  readonly memory: number;
  readonly transport: 'unix' | 'tcp';
  readonly workload: Workload;
  readonly cuts?: number;
  readonly precopy?: true;
  readonly memoryMode?: MemoryMode;
  readonly seed: number;
  readonly json?: true;
}

/** `godwit demo`: a live migration between two real processes, cut and recovered, and proved. */
export function registerDemo(program: Command): void {
  const memory = new Option('--memory <size>', 'of the guest');
  const transport = new Option('--transport <kind>', 'what the migration goes over');
  const workload = new Option('--workload <name>', 'what the guest does with its memory');
  const cuts = new Option('--cuts <count>', 'how often to cut the link in postcopy (default: 1)');
  const precopy = new Option('--precopy', 'plain precopy: no postcopy, nothing to cut');
  const command = needLinux(program.command('demo'))
    .description('migrate a running guest between two processes, cut the link, recover, prove')
    .addOption(memory.argParser(parseMemory).default(parseSize('256M'), '256M'))
    .addOption(transport.choices(['unix', 'tcp']).default('unix'))
    .addOption(workload.choices(workloads).default('zipf'))
    .addOption(cuts.argParser((text) => parseCount(text, CUTS_MAX)).conflicts('precopy'))
    .addOption(precopy)
    .addOption(memoryModeOption())
    .option('--seed <number>', 'of what the guest does', (text) => parseCount(text, 2 ** 32 - 1), 1)
    .option('--json', 'for programs')
    .action(async (options: CommandOptions) => {
      const {
        memory: memoryBytes,
        cuts: count = 1,
        precopy: plain = false,
        json,
        ...rest
      } = options;
      const asked = { ...rest, memoryBytes, precopy: plain, cuts: plain ? 0 : count };
      await demo(asked, json === true);
    });
  teach(
    command,
    [
      ['postcopy, with the link cut in its midst and recovered', 'godwit demo'],
      [
        'a busier guest, three cuts, over tcp',
        'godwit demo --workload random --cuts 3 --transport tcp',
      ],
      ['plain precopy of a larger guest', 'godwit demo --precopy --memory 1G'],
    ],
    AFTER,
  );
}

async function demo(options: DemoOptions, json: boolean): Promise<void> {
  using interruption = interruptible();
  const result = await (async () => {
    using display = openDisplay(process.stdout, json);
    return await runDemo(options, display, interruption.signal);
  })();
  if (json) console.log(JSON.stringify({ proved: isProved(result), result }));
  else console.log(`\n${reportLines(result).join('\n')}`);
  if (!isProved(result)) process.exitCode = exitCodes.failed;
}

function parseMemory(text: string): number {
  try {
    const bytes = parseSize(text);
    if (bytes >= MEMORY_BYTES_MIN && bytes % PAGE_BYTES === 0) return bytes;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new InvalidArgumentError(error.message);
  }
  throw new InvalidArgumentError(`at least ${formatBytes(MEMORY_BYTES_MIN)}, in pages of 4 KiB`);
}

function parseCount(text: string, max: number): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count <= max) return count;
  throw new InvalidArgumentError(`a whole number from 0 to ${max}`);
}

import { writeFile } from 'node:fs/promises';

import {
  benchCapabilities,
  type BenchCapability,
  type BenchMode,
  type BenchPeer,
  benchPeers,
  benchMigrate,
  benchModes,
  type BenchTransport,
  benchTransports,
  defaultGuest,
  type MigrateBenchOptions,
  migrationChart,
  resultLines,
} from '@godwit/bench';
import type { MemoryMode } from '@godwit/core';
import { type Workload, workloads } from '@godwit/guest';
import { type Command, Option } from 'commander';

import { interruptible } from '../interruption.ts';
import { checkCount, checkPageRate, checkRate, checkSize } from '../option-values.ts';
import { parseSize } from '../sizes.ts';
import { needLinux } from '../platform.ts';
import { teach } from '../teach.ts';
import { asUsage, peerOptions } from './bench-options.ts';
import { addScale } from './bench-scale.ts';
import { addTargets } from './bench-targets.ts';

const RATE = 'how many pages it visits, 0: as many as it can (default: 0; 100000 in postcopy)';

interface CommandOptions {
  readonly mode: BenchMode;
  readonly transport: BenchTransport;
  readonly memory: number;
  readonly channels: number;
  readonly compression?: 'zlib';
  readonly zlibLevel?: number;
  readonly tls?: true;
  readonly capability?: readonly BenchCapability[];
  readonly workload?: Workload;
  readonly rate?: number;
  readonly runs: number;
  readonly fresh?: true;
  readonly downtimeLimit: number;
  readonly postcopyBandwidth: number;
  readonly json?: true;
  readonly svg?: string;
  readonly memoryMode: MemoryMode;
  readonly peer?: BenchPeer;
  readonly qemu?: string;
}

/** `godwit bench`: what this machine makes of a migration, beside what it could at best. */
export function registerBench(program: Command): void {
  const bench = needLinux(program.command('bench'));
  bench.description('measure migrations, each beside its limit');
  const mode = new Option('--mode <mode>', 'what to measure')
    .choices(benchModes)
    .default('precopy');
  const memory = new Option('--memory <size>', 'of the guest, every page non-zero');
  const memoryMode = new Option('--memory-mode <mode>', "who watches the guests' memory");
  const transport = new Option('--transport <kind>', 'what it goes over');
  const workload = new Option(
    '--workload <kind>',
    'of the guest (default: idle; random in postcopy)',
  );
  const compression = new Option('--compression <method>', 'of the page channels, 2 or more');
  const zlibLevel = new Option('--zlib-level <level>', 'how hard zlib tries, 0 to 9 (default: 1)');
  const capability = new Option('--capability <name...>', 'what the migration has beside');
  const peer = new Option('--peer <engine>', 'also measure another engine at the same job');
  const qemu = new Option('--qemu <command>', 'for --peer qemu (default: qemu-system-x86_64)');
  const command = bench
    .command('migrate')
    .description(
      'whole migrations between two processes, in turn with a raw pump of the same bytes',
    )
    .addOption(mode)
    .addOption(memory.argParser(checkSize).default(parseSize('1G'), '1G'))
    .addOption(memoryMode.choices(['userfault', 'portable']).default('userfault'))
    .addOption(transport.choices(benchTransports).default('unix'))
    .option('--channels <count>', 'streams of pages, 1 to 16', checkCount, 1)
    .addOption(compression.choices(['zlib']))
    .addOption(zlibLevel.argParser(checkCount).implies({ compression: 'zlib' }))
    .option('--tls', 'encrypt every connection of the migration, with a key (PSK)')
    .addOption(capability.choices(benchCapabilities))
    .addOption(workload.choices(workloads))
    .option('--rate <pages/s>', RATE, checkPageRate)
    .option('--runs <count>', 'how often; medians are shown', checkCount, 5)
    .option('--fresh', 'into memory that was never touched, as users have it')
    .option('--downtime-limit <ms>', 'of precopy', checkCount, 300)
    .option(
      '--postcopy-bandwidth <rate>',
      'of all but requested pages: 100M/s; 0: no limit',
      checkRate,
      0,
    )
    .addOption(peer.choices(benchPeers))
    .addOption(qemu.implies({ peer: 'qemu' }))
    .option('--json', 'for programs: options, every run, and the figures')
    .option('--svg <file>', 'also draw throughput over time and fault latencies')
    .action(runBench);
  teachBench(bench, command);
  addScale(bench);
  addTargets(bench);
}

function teachBench(bench: Command, migrate: Command): void {
  teach(bench, [
    ['whole migrations, beside what the machine can do', 'godwit bench migrate'],
    ['does a large guest cost more per gigabyte?', 'godwit bench scale'],
    ['is it as fast as we want it?', 'godwit bench targets'],
  ]);
  teach(migrate, [
    ['1 GiB over unix sockets, five runs', 'godwit bench migrate'],
    ['four streams over tcp', 'godwit bench migrate --transport tcp --channels 4'],
    ['where userfaultfd is refused', 'godwit bench migrate --memory-mode portable'],
    ['how long a guest waits in postcopy', 'godwit bench migrate --mode postcopy --memory 256M'],
    ['what checksums cost', 'godwit bench migrate --capability x-checksum'],
    ['for a script', 'godwit bench migrate --runs 3 --json | jq .'],
  ]);
}

async function runBench(options: CommandOptions): Promise<void> {
  using interruption = interruptible();
  const result = await asUsage(
    benchMigrate(toBenchOptions(options), {
      signal: interruption.signal,
      onRun: (_, index) => console.error(`run ${index + 1} of ${options.runs} done`),
    }),
  );
  const { json = false, svg } = options;
  console.log(json ? JSON.stringify(result) : resultLines(result).join('\n'));
  if (svg !== undefined) await writeFile(svg, migrationChart(result));
}

function toBenchOptions(options: CommandOptions): MigrateBenchOptions {
  const { mode, memory, fresh = false, downtimeLimit } = options;
  const { transport, channels, runs, postcopyBandwidth, memoryMode } = options;
  const guest = defaultGuest(mode);
  const { workload = guest.workload, rate = guest.rate } = options;
  const sizes = { memoryBytes: memory, downtimeLimitMillis: downtimeLimit, postcopyBandwidth };
  const coding = options.compression === undefined ? {} : { zlibLevel: options.zlibLevel ?? 1 };
  const tls = options.tls === undefined ? {} : { tls: options.tls };
  const { capability: capabilities = [] } = options;
  const way = { mode, transport, channels, ...tls, ...coding, capabilities, memoryMode };
  const job = { ...way, workload, rate, runs, fresh, ...sizes };
  return options.peer === undefined
    ? job
    : { ...job, peer: peerOptions(options.peer, options.qemu) };
}

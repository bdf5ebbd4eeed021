import {
  type BenchPeer,
  benchPeers,
  benchTargets,
  chooseTargets,
  type TargetRow,
  type TargetSpec,
  targetSpecs,
  targetsLines,
  type TargetsOptions,
} from '@godwit/bench';
import { type Command, Option } from 'commander';

import { interruptible } from '../interruption.ts';
import { checkCount } from '../option-values.ts';
import { teach } from '../teach.ts';
import { asUsage, peerOptions } from './bench-options.ts';

interface CommandOptions {
  readonly runs: number;
  readonly only?: readonly string[];
  readonly peer?: BenchPeer;
  readonly qemu?: string;
  readonly json?: true;
}

/** `godwit bench targets`: whether this machine sees the speed we are after. */
export function addTargets(bench: Command): void {
  const keys = targetSpecs.map(({ key }) => key).join(', ');
  const only = new Option('--only <names>', `some of the jobs: ${keys}`);
  const peer = new Option('--peer <engine>', 'also measure another engine at the same jobs');
  const qemu = new Option('--qemu <command>', 'for --peer qemu (default: qemu-system-x86_64)');
  const command = bench
    .command('targets')
    .description('every speed we are after, each beside its limit, in one go')
    .option('--runs <count>', 'how often each; medians are judged', checkCount, 5)
    .addOption(only.argParser((text) => text.split(',')))
    .addOption(peer.choices(benchPeers))
    .addOption(qemu.implies({ peer: 'qemu' }))
    .option('--json', 'for programs')
    .action(runTargets);
  teach(command, [
    ['all of them; takes minutes', 'godwit bench targets'],
    [
      "one job, beside QEMU's figure in the same run",
      'godwit bench targets --only precopy-writes --peer qemu',
    ],
  ]);
}

async function runTargets(options: CommandOptions): Promise<void> {
  using interruption = interruptible();
  const { runs, json = false } = options;
  const result = await asUsage(
    measure(options, {
      signal: interruption.signal,
      onRun: ({ key }: TargetSpec, index: number) =>
        console.error(`${key}: run ${index + 1} of ${runs} done`),
      onRow: ({ key, failed }: TargetRow) =>
        console.error(failed === undefined ? `${key} is done` : `${key} failed: ${failed}`),
    }),
  );
  console.log(json ? JSON.stringify(result) : targetsLines(result).join('\n'));
  // A target that is missed is a result; only a benchmark that has none has failed.
  if (result.rows.every(({ failed }) => failed !== undefined)) {
    throw new Error('every job failed');
  }
}

/** Async, so that a name that is none is refused as the rest is. */
async function measure(
  { runs, only, peer, qemu }: CommandOptions,
  hooks: Parameters<typeof benchTargets>[1],
) {
  const specs = only === undefined ? targetSpecs : chooseTargets(only);
  const job: TargetsOptions = { specs, runs };
  const all = peer === undefined ? job : { ...job, peer: peerOptions(peer, qemu) };
  return await benchTargets(all, hooks);
}

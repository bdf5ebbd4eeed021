import { randomInt } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type FaultKind, faultKinds, SEED_LIMIT } from '@godwit/chaos';
import { type Command, InvalidArgumentError } from 'commander';

import { chooseKinds, findOffers, runChaos } from '../chaos/chaos.ts';
import { holdingsLine, hopLine, runPingPong, WARM_UP_HOPS } from '../chaos/ping-pong.ts';
import { ChaosSummary, runLine } from '../chaos/chaos-lines.ts';
import { exitCodes, UsageError } from '../errors.ts';
import { interruptible } from '../interruption.ts';
import { checkCountFrom } from '../option-values.ts';
import { teach } from '../teach.ts';

const RUNS = 10;

const AFTER = `Each run takes two guest processes of its own, on unix sockets or loopback, and ends them.
It checks from outside: one side runs the guest, every page is right, every wait ends, nothing is left.
Kinds of faults: ${faultKinds.join(', ')}.
A run that breaks a promise is the last; its seed repeats it.
With --json: a line for each run, then {"summary"}; of --ping-pong one for each hop, then what both hold.`;

interface CommandOptions {
  readonly runs?: number;
  readonly minutes?: number;
  readonly seed?: number;
  readonly only?: readonly FaultKind[];
  readonly pingPong?: number;
  readonly logs: string;
  readonly json?: true;
}

/** `godwit chaos`: migrations under faults drawn from a seed. */
export function registerChaos(program: Command): void {
  const command = program
    .command('chaos')
    .description('migrate guests while links break, bytes change and processes die, and check')
    .option('--runs <count>', 'how many (default: 10)', checkCountFrom(1, 1_000_000))
    .option('--minutes <count>', 'for so long at most', checkCountFrom(1, 100_000))
    .option(
      '--seed <number>',
      'of the first run; each that follows has the next (default: drawn)',
      checkCountFrom(0, SEED_LIMIT - 1),
    )
    .option('--only <kinds>', 'faults of these kinds: cut-fin,kill', checkKinds)
    .option(
      '--ping-pong <hops>',
      'one guest to and fro between two processes, which must hold no more in the end',
      checkCountFrom(WARM_UP_HOPS + 2, 1_000_000),
    )
    .option('--logs <directory>', 'for the log of a run that fails', join(tmpdir(), 'godwit-chaos'))
    .option('--json', 'for programs')
    .action(async ({ pingPong, ...options }: CommandOptions) => {
      await (pingPong === undefined ? chaos(options) : playPingPong(pingPong, options));
    });
  teach(
    command,
    [
      ['ten runs, whatever comes', 'godwit chaos'],
      ['a run again that has failed', 'godwit chaos --seed 4711 --runs 1'],
      ['a guest that is migrated two hundred times', 'godwit chaos --ping-pong 200'],
      ['an hour of processes that die and stop', 'godwit chaos --minutes 60 --only kill,stop'],
    ],
    AFTER,
  );
}

async function chaos(options: Omit<CommandOptions, 'pingPong'>): Promise<void> {
  const { minutes = Infinity, seed = randomInt(SEED_LIMIT), only, logs, json = false } = options;
  const runs = options.runs ?? (options.minutes === undefined ? RUNS : Infinity);
  const { kinds, left } = chooseKinds(findOffers(), only);
  if (kinds.length === 0) throw new UsageError(`cannot be tried here: ${left.join(', ')}`);
  const say = (line: string): void => {
    if (!json) console.log(line);
  };
  say(`from seed ${seed}; faults: ${kinds.join(', ')}`);
  if (left.length > 0) say(`left out, since nothing here notices: ${left.join(', ')}`);
  using interruption = interruptible();
  const summary = new ChaosSummary();
  const asked = { runs, minutes, seed, logs, ...(only === undefined ? {} : { only }) };
  for await (const result of runChaos(asked, kinds, interruption.signal)) {
    summary.add(result);
    if (json) console.log(JSON.stringify(result));
    say(runLine(summary.runs, result));
    for (const what of result.found) say(`  found: ${what}`);
    if (result.found.length === 0) continue;
    const again = only === undefined ? '' : ` --only ${only.join(',')}`;
    say(`  log: ${result.log ?? 'none'}`);
    say(`  again: godwit chaos --seed ${result.seed} --runs 1${again}`);
    process.exitCode = exitCodes.failed;
  }
  if (json) console.log(JSON.stringify({ summary: summary.figures(), left }));
  for (const line of summary.lines()) say(line);
}

async function playPingPong(hops: number, options: CommandOptions): Promise<void> {
  const { seed = randomInt(SEED_LIMIT), json = false } = options;
  const say = (line: string, document: unknown): void => {
    console.log(json ? JSON.stringify(document) : line);
  };
  // After an even number of hops the guest is where it was at first.
  const asked = { seed, hops: hops + (hops % 2), warmUp: WARM_UP_HOPS };
  say(`${asked.hops} hops from seed ${seed}`, asked);
  using interruption = interruptible();
  const { found, holdings } = await runPingPong(asked, interruption.signal, (result) => {
    say(hopLine(result), result);
  });
  for (const held of holdings) say(holdingsLine(held), held);
  for (const what of found) say(`found: ${what}`, { found: what });
  if (found.length === 0) return say('found: nothing', { found: 'nothing' });
  if (!json) console.log(`again: godwit chaos --ping-pong ${asked.hops} --seed ${seed}`);
  process.exitCode = exitCodes.failed;
}

function checkKinds(text: string): readonly FaultKind[] {
  return text.split(',').map((name) => {
    const kind = faultKinds.find((it) => it === name);
    if (kind !== undefined) return kind;
    throw new InvalidArgumentError(`'${name}' is none of ${faultKinds.join(', ')}`);
  });
}

import { resolve } from 'node:path';

import type { SecurityObject } from '@godwit/core';
import { parseAddress } from '@godwit/transport';
import type { Command } from 'commander';

import { exitCodes, messageOf, UsageError } from '../errors.ts';
import type { DestinationSpec } from '../evacuate/destination-pool.ts';
import { changeLine, resultLines, tableLines } from '../evacuate/evacuation-lines.ts';
import { Evacuation, type EvacuationOptions } from '../evacuate/evacuation.ts';
import type { GuestReport } from '../evacuate/guest-report.ts';
import { StateFile } from '../evacuate/state-file.ts';
import { LiveScreen } from '../live-screen.ts';
import { checkAddress, checkCountFrom, checkRate } from '../option-values.ts';
import { objectOption } from '../object-option.ts';
import { checkQmp, qmpAddressOf, qmpDialler } from '../qmp-option.ts';
import { goOnWithoutReader } from '../readers.ts';
import { teach } from '../teach.ts';

const REFRESH_MILLIS = 250;
/** How long sources that do not answer keep a second Ctrl-C waiting. */
const LIMITS_BACK_MILLIS = 2_000;

const EXAMPLES = [
  [
    'two guests, to two processes that wait (godwit guest --incoming defer)',
    'godwit evacuate --from unix:/run/a1.qmp unix:/run/a2.qmp --to unix:/run/b1.qmp unix:/run/b2.qmp',
  ],
  [
    'every guest of a host, two at a time, within a budget',
    'godwit evacuate --from unix:/run/a*.qmp --to unix:/run/b*.qmp --parallel 2 --bandwidth 500M/s',
  ],
  [
    'guests that write too much; the state so far is always in the file',
    'godwit evacuate --from unix:/run/a.qmp --to unix:/run/b.qmp --postcopy --retries 5 --state /run/state.json',
  ],
] as const;

const AFTER = `Each destination is the QMP address of a process that waits for a guest; it is told to listen, beside its
QMP socket or on a port of the same host. QMP=URI says where instead. A guest gets a destination with the same RAM;
one that cannot move is named with the reason and runs on where it is.

Ctrl-C: guests before their switchover are cancelled and stay, the others are waited for. Ctrl-C again: gives
each source its own bandwidth limits back, ends and says what is where; the migrations go on by themselves.
A guest with pause-before-switchover waits in pre-switchover for migrate-continue, as its owner wants: it is named. It is done (0) when all have moved; some not: failed (1).
With --json: {"moved", "guests"} at the end.`;

interface CommandOptions {
  readonly object?: readonly SecurityObject[];
  readonly from: readonly string[];
  readonly to: readonly DestinationSpec[];
  readonly parallel: number;
  readonly bandwidth?: number;
  readonly postcopy?: true;
  readonly retries: number;
  readonly state?: string;
  readonly json?: true;
}

/** `godwit evacuate`: moves all guests away from a host. */
export function registerEvacuate(program: Command): void {
  const command = program
    .command('evacuate')
    .description('move many guests away, several at a time')
    .requiredOption('--from <addresses...>', 'where the guests answer QMP', addAddress)
    .requiredOption('--to <destinations...>', 'waiting processes: QMP or QMP=URI', addDestination)
    .option('--parallel <count>', 'how many move at once', checkCountFrom(1, 64), 2)
    .option('--bandwidth <rate>', 'of all together: 500M/s; 0: no limit', checkRate)
    .option('--postcopy', 'let each guest run at its destination as soon as it can')
    .option('--retries <count>', 'of a migration that fails, of a link', checkCountFrom(0, 100), 3)
    .option('--state <file>', 'always holds the state so far, as --json prints it')
    .option('--json', 'for programs: one document at the end')
    .addOption(objectOption())
    .action(evacuate);
  teach(command, EXAMPLES, AFTER);
}

async function evacuate(options: CommandOptions): Promise<void> {
  checkDistinct('--from', options.from);
  const places = options.to.map(({ qmp }) => qmp);
  checkDistinct('--to', places);
  checkDistinct('--from and --to', [...options.from, ...places]);
  const interruption = new AbortController();
  using display = openDisplay(options);
  const file = options.state === undefined ? undefined : new StateFile(options.state, note);
  const { bandwidth, postcopy = false, ...rest } = options;
  const dial = await qmpDialler({ ...options, qmp: [...options.from, ...places] });
  const order: EvacuationOptions = { ...rest, dial, bandwidth, postcopy };
  await using evacuation = new Evacuation(order, {
    signal: interruption.signal,
    onChange: (report) => {
      file?.write(stateOf(evacuation.guests));
      display.changed(report);
    },
    onNote: note,
  });
  file?.create(stateOf(evacuation.guests));
  goOnWithoutReader();
  using _signals = onInterrupt((count) => {
    if (count === 1) return interruption.abort(new Error('interrupted'));
    const end = (): never => {
      console.error(['godwit: ended at once', ...resultLines(evacuation.guests)].join('\n'));
      process.exit(exitCodes.failed);
    };
    if (count > 2) end();
    const told = (error: unknown): void => note(messageOf(error));
    void evacuation.giveLimitsBack(LIMITS_BACK_MILLIS).catch(told).finally(end);
  });
  const show = async (): Promise<void> => {
    await evacuation.refresh();
    file?.write(stateOf(evacuation.guests));
    display.draw(evacuation.guests);
  };
  const timer = setInterval(() => void show(), REFRESH_MILLIS);
  try {
    await evacuation.run();
  } finally {
    clearInterval(timer);
  }
  display.draw(evacuation.guests);
  file?.write(stateOf(evacuation.guests));
  console.log(
    options.json === true
      ? JSON.stringify(stateOf(evacuation.guests))
      : resultLines(evacuation.guests).join('\n'),
  );
  const isDone = evacuation.guests.every(({ phase }) => phase === 'moved');
  if (!isDone) process.exitCode = exitCodes.failed;
}

interface Display extends Disposable {
  changed(report: GuestReport): void;
  draw(guests: readonly GuestReport[]): void;
}

/** A table on a terminal, a line for each change otherwise, nothing for programs. */
function openDisplay({ json }: CommandOptions): Display {
  const started = performance.now();
  const nothing = (): void => undefined;
  if (json === true) return { changed: nothing, draw: nothing, [Symbol.dispose]: nothing };
  if (process.stdout.isTTY) {
    const screen = new LiveScreen(process.stdout);
    const { columns } = process.stdout;
    return {
      changed: nothing,
      draw: (guests) => screen.draw(tableLines(guests, columns)),
      [Symbol.dispose]: () => screen.close(),
    };
  }
  const last = new Map<string, string>();
  return {
    changed(report) {
      const words = changeLine(report, 0);
      if (last.get(report.from) === words) return;
      last.set(report.from, words);
      console.log(changeLine(report, performance.now() - started));
    },
    draw: nothing,
    [Symbol.dispose]: nothing,
  };
}

function stateOf(guests: readonly GuestReport[]): object {
  return { moved: guests.filter(({ phase }) => phase === 'moved').length, guests };
}

function note(text: string): void {
  console.error(`godwit: ${text}`);
}

/** @param onSignal with how many have come. */
function onInterrupt(onSignal: (count: number) => void): Disposable {
  let count = 0;
  const listener = (): void => onSignal(++count);
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of names) process.on(name, listener);
  return {
    [Symbol.dispose]: () => {
      for (const name of names) process.removeListener(name, listener);
    },
  };
}

function checkDistinct(what: string, addresses: readonly string[]): void {
  const places = addresses.map(placeOf);
  const twice = addresses.find((_, index) => places.indexOf(places[index] ?? '') !== index);
  if (twice !== undefined) throw new UsageError(`${what}: ${twice} is there twice`);
}

/** The same for each way in which the path of one socket can be written. */
function placeOf(address: string): string {
  const parsed = parseAddress(qmpAddressOf(address));
  return parsed.type === 'unix' ? resolve(parsed.path) : address;
}

function addAddress(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, checkQmp(text)];
}

function addDestination(
  text: string,
  before: readonly DestinationSpec[] = [],
): readonly DestinationSpec[] {
  const [, qmp = text, uri] = /^([^=,]*(?:,[^=,]+=[^=,]*)*)=(.*)$/s.exec(text) ?? [];
  return [...before, { qmp: checkQmp(qmp), uri: uri === undefined ? uri : checkAddress(uri) }];
}

import { argv, exit, stderr, stdout } from 'node:process';
import { parseArgs } from 'node:util';

import { microHead, microLine } from './micro/micro-lines.ts';
import type { MicroOptions } from './micro/micro-task.ts';
import { runMicro } from './micro/run-micro.ts';
import { describeMachine } from './migrate/machine.ts';

const USAGE = `usage: pnpm bench [--memory 4G] [--time MS] [--json]

Micro-benchmarks of what is done per page, per frame and per fault.
  --memory SIZE  of the guest that is looked at, in M or G (default: 4G); as much is needed
  --time MS      for each of them (default: 300)
  --json         for programs
`;

/** Micro-benchmarks, on this machine, now. */
function main(): void {
  const { json, ...options } = parseOptions(argv.slice(2));
  if (json) return void stdout.write(`${JSON.stringify(runMicro(options))}\n`);
  let group = '';
  runMicro(options, (figure) => {
    if (group === '') stdout.write(`${describeMachine()}\n${microHead()}\n`);
    if (figure.group !== group) stdout.write(`${figure.group}\n`);
    group = figure.group;
    stdout.write(`${microLine(figure)}\n`);
  });
}

/** @throws {Error} from what is not an option, or not its value. */
function parseOptions(args: string[]): MicroOptions & { readonly json: boolean } {
  const { values } = parseArgs({
    args: args.filter((arg) => arg !== '--'), // which some versions of pnpm pass on
    options: {
      memory: { type: 'string', default: '4G' },
      time: { type: 'string', default: '300' },
      json: { type: 'boolean', default: false },
    },
  });
  const { memory, time, json } = values;
  return { memoryBytes: parseMemory(memory), timeMillis: parseMillis(time), json };
}

function parseMemory(text: string): number {
  const match = /^(\d+)([MG])$/.exec(text);
  if (match === null) throw new RangeError(`--memory ${text}: expected a size such as 512M or 4G`);
  return Number(match[1]) * (match[2] === 'G' ? 2 ** 30 : 2 ** 20);
}

function parseMillis(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new RangeError(`--time ${text}: expected milliseconds`);
  return Number(text);
}

try {
  main();
} catch (error) {
  if (!isUsage(error)) throw error;
  stderr.write(`${error.message}\n${USAGE}`);
  exit(2);
}

function isUsage(error: unknown): error is Error {
  if (error instanceof RangeError) return true;
  return error instanceof TypeError && 'code' in error && String(error.code).includes('PARSE_ARGS');
}

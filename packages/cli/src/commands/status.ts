import { setTimeout as sleep } from 'node:timers/promises';

import type { QmpClient } from '@godwit/qmp';
import type { Command } from 'commander';

import { LiveScreen } from '../live-screen.ts';
import { queryMigrate, queryStatus } from '../migrate-info.ts';
import { addQmpOption, connectQmp, type QmpOption } from '../qmp-option.ts';
import { statusLines } from '../status-lines.ts';

const WATCH_MILLIS = 250;

interface StatusOptions extends QmpOption {
  readonly watch?: true;
  readonly json?: true;
}

/** `godwit status`: how guest and migration stand in a process. */
export function registerStatus(program: Command): void {
  addQmpOption(program.command('status'))
    .description('show how the guest and its migration stand')
    .option('--watch', 'again and again, until interrupted')
    .option('--json', 'for programs: {"status": …, "migrate": …} as QMP says it, one per line')
    .action(async (options: StatusOptions) => {
      await using client = await connectQmp(options);
      if (options.watch === true) await watch(client, options.json === true);
      else console.log((await read(client, options.json === true)).join('\n'));
    });
}

async function watch(client: QmpClient, json: boolean): Promise<void> {
  const isLive = process.stdout.isTTY && !json;
  using screen = isLive ? new LiveScreen(process.stdout) : undefined;
  process.once('SIGINT', () => process.exit(0)); // how a watch ends; `exit` gives the cursor back
  for (let last = ''; ; await sleep(WATCH_MILLIS)) {
    const lines = await read(client, json);
    const text = lines.join('\n');
    if (screen !== undefined) screen.draw(lines);
    else if (text !== last) console.log(json ? text : `${text}\n`);
    last = text;
  }
}

async function read(client: QmpClient, json: boolean): Promise<string[]> {
  const [status, migrate] = await Promise.all([queryStatus(client), queryMigrate(client)]);
  return json ? [JSON.stringify({ status, migrate })] : statusLines(status, migrate);
}

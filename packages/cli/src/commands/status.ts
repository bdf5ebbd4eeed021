import type { Command } from 'commander';

import { UsageError } from '../errors.ts';
import { interruptible } from '../interruption.ts';
import { checkMillis } from '../option-values.ts';
import { statusLines } from '../status-lines.ts';
import { addQmpOptions, type QmpOptions } from '../qmp-option.ts';
import { teach } from '../teach.ts';
import { statusDocument, watch } from '../watch/watch.ts';
import { openSides, type SideView } from '../watch/watched-side.ts';

const INTERVAL_MILLIS_MIN = 20;

interface StatusOptions extends QmpOptions {
  readonly watch?: true;
  readonly interval: number;
  readonly json?: true;
}

const AFTER = `With --json: a line {"qmp", "status": query-status, "migrate": query-migrate} for each side;
with --watch whenever one changes. Without a terminal --watch prints a line a second.`;

/** `godwit status`: how guest and migration stand, in one process or in both. */
export function registerStatus(program: Command): void {
  const command = addQmpOptions(
    program.command('status'),
    'where the process answers QMP; a second one for the other side',
  )
    .description('show how the guest and its migration stand')
    .option('--watch', 'a live screen, until Ctrl-C')
    .option('--interval <time>', 'between two looks of --watch', checkMillis, 250)
    .option('--json', 'for programs')
    .action(showStatus);
  teach(
    command,
    [
      ['how it stands now', 'godwit status --qmp unix:/tmp/a.qmp'],
      [
        'both sides, live, with the map of pages',
        'godwit status --qmp unix:/tmp/a.qmp --qmp unix:/tmp/b.qmp --watch',
      ],
      ['for a script', 'godwit status --qmp unix:/tmp/a.qmp --json | jq .migrate.status'],
    ],
    AFTER,
  );
}

async function showStatus(options: StatusOptions): Promise<void> {
  const { interval: intervalMillis, json = false } = options;
  if (intervalMillis < INTERVAL_MILLIS_MIN) {
    throw new UsageError(`--interval is ${INTERVAL_MILLIS_MIN} ms at least`);
  }
  await using opened = await openSides(options);
  const { sides } = opened;
  if (options.watch === true) {
    using interruption = interruptible();
    const { signal } = interruption;
    return await watch(sides, { intervalMillis, json, signal });
  }
  const views = await Promise.all(sides.map(async (side) => await side.ask(0)));
  const texts = views.map((view) => (json ? JSON.stringify(statusDocument(view)) : sideText(view)));
  console.log(texts.join(json ? '\n' : '\n\n'));
}

function sideText({ run, migrate }: SideView): string {
  return statusLines(run, migrate).join('\n');
}

import { setTimeout as sleep } from 'node:timers/promises';

import type { Command } from 'commander';

import { UsageError } from '../errors.ts';
import { checkMillis } from '../option-values.ts';
import { painterFor, wantsColours } from '../painter.ts';
import { addQmpOptions, type QmpOptions } from '../qmp-option.ts';
import { teach } from '../teach.ts';
import { openSides } from '../watch/watched-side.ts';
import { limits, whyOf } from '../why/why.ts';
import { whyLines } from '../why/why-lines.ts';
import { takeSample } from '../why/why-sample.ts';

const FOR_MILLIS_MIN = 50;

interface WhyOptions extends QmpOptions {
  readonly for: number;
  readonly json?: true;
}

const AFTER = `It says one of these first, and what else it found after it:
${Object.entries(limits)
  .map(([name, text]) => `  ${name.padEnd(16)} ${text}`)
  .join('\n')}

With --json: {"limit", "status", "findings": [{"limit", "evidence", "advice"}], "figures"}.`;

/** `godwit why`: what holds a migration up. */
export function registerWhy(program: Command): void {
  const command = addQmpOptions(
    program.command('why'),
    'where the source answers QMP; a second one for the destination',
  )
    .description('name what limits a running migration, with the figures that show it')
    .option('--for <time>', 'how long to look', checkMillis, 1000)
    .option('--json', 'for programs')
    .action(why);
  teach(
    command,
    [
      ['what holds it up?', 'godwit why --qmp unix:/tmp/a.qmp'],
      [
        'with the destination, which tells a slow link from a slow reader',
        'godwit why --qmp unix:/tmp/a.qmp --qmp unix:/tmp/b.qmp',
      ],
      [
        'a longer look, for a script',
        'godwit why --qmp unix:/tmp/a.qmp --for 5s --json | jq .limit',
      ],
    ],
    AFTER,
  );
}

async function why(options: WhyOptions): Promise<void> {
  const { for: millis, json } = options;
  if (millis < FOR_MILLIS_MIN) throw new UsageError(`--for is ${FOR_MILLIS_MIN} ms at least`);
  await using opened = await openSides(options);
  const before = await takeSample(opened.sides);
  await sleep(millis);
  const verdict = whyOf(before, await takeSample(opened.sides));
  if (json === true) return console.log(JSON.stringify(verdict));
  console.log(whyLines(verdict, painterFor(wantsColours(process.stdout))).join('\n'));
}

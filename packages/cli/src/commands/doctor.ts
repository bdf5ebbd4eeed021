import { probeHost } from '@godwit/posix';
import type { Command } from 'commander';

import { findingsOf } from '../doctor-findings.ts';
import { doctorLines, isFit } from '../doctor-lines.ts';
import { exitCodes } from '../errors.ts';
import { readMemoryLimits } from '../memory-limits.ts';
import { painterFor, wantsColours } from '../painter.ts';
import { teach } from '../teach.ts';

const AFTER = `The exit code is 1 only where no guest can migrate at all: without userfaultfd memory is portable, what is
absent or small does not count.
With --json: {"fit", "findings": [{"name", "level", "ok", "detail", "remedies"}], "host", "limits"}.`;

/** `godwit doctor`: can this host migrate guests, and if not, what would help. */
export function registerDoctor(program: Command): void {
  const command = program
    .command('doctor')
    .description('say what this host offers to migration, and how to get what is missing')
    .option('--json', 'for programs')
    .action((options: { readonly json?: true }) => {
      const nodeVersion = process.versions.node;
      const examined = { host: probeHost(), limits: readMemoryLimits(), nodeVersion };
      const fit = isFit(examined);
      const paint = painterFor(wantsColours(process.stdout));
      const document = { fit, findings: findingsOf(examined), ...examined };
      console.log(
        options.json === true ? JSON.stringify(document) : doctorLines(examined, paint).join('\n'),
      );
      if (!fit) process.exitCode = exitCodes.failed;
    });
  teach(
    command,
    [
      ['can this host migrate guests?', 'godwit doctor'],
      [
        'what would help, for a script',
        `godwit doctor --json | jq -r '.findings[] | select(.ok | not) | .remedies[]'`,
      ],
    ],
    AFTER,
  );
}

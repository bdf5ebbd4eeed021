import { probeHost } from '@godwit/posix';
import type { Command } from 'commander';

import { doctorLines, isFit } from '../doctor-lines.ts';
import { exitCodes } from '../errors.ts';

/** `godwit doctor`: can this host migrate guests, and if not, what would help. */
export function registerDoctor(program: Command): void {
  program
    .command('doctor')
    .description('say what this host offers to migration, and how to get what is missing')
    .option('--json', 'for programs')
    .action((options: { readonly json?: true }) => {
      const host = probeHost();
      if (options.json === true) console.log(JSON.stringify({ fit: isFit(host), ...host }));
      else console.log(doctorLines(host).join('\n'));
      if (!isFit(host)) process.exitCode = exitCodes.failed;
    });
}

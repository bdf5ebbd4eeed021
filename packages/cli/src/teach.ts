import type { Command } from 'commander';

/** What a line does, and the line. */
export type Example = readonly [does: string, line: string];

export const EXIT_CODES = 'Exit codes: 0 done, 1 failed, 2 wrong usage.';

/**
 * Help that begins with what people type, each line ready to be copied, and ends with what a script
 * wants to know.
 *
 * @param after what else is to be said of it, above the exit codes.
 */
export function teach(command: Command, examples: readonly Example[], after = ''): Command {
  const lines = examples.flatMap(([does, line]) => [`  # ${does}`, `  ${line}`]);
  const tail = after === '' ? EXIT_CODES : `${after}\n\n${EXIT_CODES}`;
  return command
    .addHelpText('before', `${['Examples:', ...lines].join('\n')}\n`)
    .addHelpText('after', `\n${tail}`);
}

import { CommanderError } from 'commander';

import { exitCodes, messageOf, UsageError } from './errors.ts';
import { createProgram } from './program.ts';
import { endWithReader, goOnUnheard } from './readers.ts';

endWithReader();
goOnUnheard();

try {
  await createProgram().parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** Says once what went wrong, without a stack. @returns the exit code. */
function report(error: unknown): number {
  if (error instanceof CommanderError) {
    return error.exitCode === 0 ? exitCodes.done : exitCodes.usage; // it has spoken already
  }
  console.error(`godwit: ${messageOf(error)}`);
  return error instanceof UsageError ? exitCodes.usage : exitCodes.failed;
}

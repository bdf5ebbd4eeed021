import { Command, CommanderError } from 'commander';
import { registerBench } from './commands/bench.ts';
import { registerDemo } from './commands/demo.ts';
import { registerDoctor } from './commands/doctor.ts';
import { registerEvacuate } from './commands/evacuate.ts';
import { registerGuest } from './commands/guest.ts';
import { registerMigrate } from './commands/migrate.ts';
import { registerPlan } from './commands/plan.ts';
import { registerQmp } from './commands/qmp.ts';
import { registerRecover } from './commands/recover.ts';
import { registerStatus } from './commands/status.ts';
import { exitCodes, messageOf, UsageError } from './errors.ts';

const program = new Command('godwit')
  .description('Live migration of guest memory between processes')
  .version('0.1.0')
  .exitOverride() // before the commands, which inherit it: wrong usage is 2, not commander's 1
  .showHelpAfterError('(--help says more)');

for (const register of [
  registerDemo,
  registerGuest,
  registerMigrate,
  registerRecover,
  registerPlan,
  registerEvacuate,
  registerStatus,
  registerQmp,
  registerDoctor,
  registerBench,
]) {
  register(program);
}

try {
  await program.parseAsync();
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

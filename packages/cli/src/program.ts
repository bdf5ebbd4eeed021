import { Command } from 'commander';

import { registerBench } from './commands/bench.ts';
import { registerChaos } from './commands/chaos.ts';
import { registerCompletion } from './commands/completion.ts';
import { registerDemo } from './commands/demo.ts';
import { registerDoctor } from './commands/doctor.ts';
import { registerEvacuate } from './commands/evacuate.ts';
import { registerGuest } from './commands/guest.ts';
import { registerMigrate } from './commands/migrate.ts';
import { registerPlan } from './commands/plan.ts';
import { registerQmp } from './commands/qmp.ts';
import { registerReceipt } from './commands/receipt.ts';
import { registerRecover } from './commands/recover.ts';
import { registerStatus } from './commands/status.ts';
import { registerWhy } from './commands/why.ts';
import { teach } from './teach.ts';

const AFTER = `Sizes: 256M, 1.5G (2^20, 2^30 bytes). Rates: 100M/s (2^20), 100MB/s (10^6), 1Gbit/s.
Colours are for terminals; NO_COLOR=1 turns them off, FORCE_COLOR=1 on.
With --json a command prints one JSON document, or one a line while it goes on.`;

/** The command line, complete; every command begins its help with examples. */
export function createProgram(): Command {
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
    registerWhy,
    registerReceipt,
    registerQmp,
    registerChaos,
    registerDoctor,
    registerBench,
    registerCompletion,
  ]) {
    register(program);
  }
  const examples = [
    ['can this host migrate guests?', 'godwit doctor'],
    ['see one guest migrated, cut off, recovered and proved', 'godwit demo'],
    ['run a guest', 'godwit guest --name A --memory 256M --qmp unix:/tmp/a.qmp'],
    ['move it to who listens there', 'godwit migrate --qmp unix:/tmp/a.qmp unix:/tmp/b.mig --wait'],
    ['look on while it moves', 'godwit status --qmp unix:/tmp/a.qmp --watch'],
    ['and ask what holds it up', 'godwit why --qmp unix:/tmp/a.qmp'],
  ] as const;
  return teach(program, examples, AFTER);
}

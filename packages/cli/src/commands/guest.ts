import type { Command } from 'commander';

/** `godwit guest`: one guest in this process, driven over QMP until it quits. */
export function registerGuest(program: Command): void {
  program.command('guest').description('run a guest that can be migrated');
}

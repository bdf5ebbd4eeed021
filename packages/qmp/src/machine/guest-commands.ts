import { type CommandTable, defineCommand } from '../command-table.ts';
import type { Machine } from './machine.ts';

/** Of the guest itself: is it there, does it run, is it whole. */
export function guestCommands(machine: Machine): CommandTable {
  return {
    'query-name': { run: () => ({ name: machine.name }) },
    'query-status': {
      run: () => ({ running: machine.runState === 'running', status: machine.runState }),
    },
    stop: { run: () => machine.stop() },
    cont: { run: () => machine.cont() },
    quit: { run: () => machine.quit() },
    /** Ours. Addresses are valid in this process. */
    'x-query-guest-ram': defineCommand({
      arguments: {},
      run: () =>
        machine.ram.map(({ id, address, byteLength, pageBytes }) => ({
          id,
          'host-address': `0x${address.toString(16)}`,
          size: byteLength,
          'page-size': pageBytes,
        })),
    }),
    /** Ours. */
    'x-guest-verify': defineCommand({
      arguments: {},
      async run() {
        const { ok, pagesChecked, pagesBad, badPages, steps } = await machine.verify();
        return {
          ok,
          'pages-checked': pagesChecked,
          'pages-bad': pagesBad,
          'bad-pages': badPages,
          steps,
        };
      },
    }),
  };
}

import type { ArgumentSpec } from '../arguments.ts';
import type { CommandTable } from '../command-table.ts';
import { type Machine, runStates } from './machine.ts';

const verifyResultSpec = {
  type: 'object',
  members: {
    ok: { type: 'bool' },
    'pages-checked': { type: 'int' },
    'pages-bad': { type: 'int' },
    'bad-pages': {
      type: 'list',
      of: {
        type: 'object',
        members: {
          block: { type: 'str' },
          page: { type: 'int' },
          offset: { type: 'int' },
          reason: { type: 'str' },
        },
      },
    },
    steps: { type: 'list', of: { type: 'int' } },
  },
} as const satisfies ArgumentSpec;

/** Of the guest itself: is it there, does it run, is it whole. */
export function guestCommands(machine: Machine): CommandTable {
  return {
    'query-name': {
      returns: { type: 'object', members: { name: { type: 'str', optional: true } } },
      run: () => ({ name: machine.name }),
    },
    'query-status': {
      returns: {
        type: 'object',
        members: { running: { type: 'bool' }, status: { type: 'str', values: runStates } },
      },
      run: () => ({ running: machine.runState === 'running', status: machine.runState }),
    },
    stop: { run: () => machine.stop() },
    cont: { run: () => machine.cont() },
    quit: { run: () => machine.quit() },
    /** Ours. Addresses are valid in this process. */
    'x-query-guest-ram': {
      returns: {
        type: 'list',
        of: {
          type: 'object',
          members: {
            id: { type: 'str' },
            'host-address': { type: 'str' },
            size: { type: 'int' },
            'page-size': { type: 'int' },
          },
        },
      },
      run: () =>
        machine.ram.map(({ id, address, byteLength, pageBytes }) => ({
          id,
          'host-address': `0x${address.toString(16)}`,
          size: byteLength,
          'page-size': pageBytes,
        })),
    },
    /** Ours. */
    'x-guest-verify': {
      returns: verifyResultSpec,
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
    },
  };
}

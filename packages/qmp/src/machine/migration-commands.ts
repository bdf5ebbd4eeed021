import {
  type Capability,
  capabilityDefaults,
  parameterDefaults,
  unsupportedCapabilities,
  unsupportedParameters,
} from '@godwit/core';

import type { ArgumentsSchema, ArgumentSpec } from '../arguments.ts';
import { type CommandTable, defineCommand } from '../command-table.ts';
import type { Machine } from './machine.ts';
import {
  addressArguments,
  incomingAddress,
  outgoingAddress,
  uriAddress,
} from './migration-address.ts';
import { migrationInfoSpec } from './migration-info.ts';

const capabilities = Object.keys(capabilityDefaults) as Capability[]; // of every name

const capabilityStatusSpec = {
  type: 'object',
  members: { capability: { type: 'str', values: capabilities }, state: { type: 'bool' } },
} as const satisfies ArgumentSpec;

/** Only what kind of value each is: the engine names range and unit when it refuses one. */
const parameters: ArgumentsSchema = Object.fromEntries(
  Object.entries(parameterDefaults).map(([name, initial]) => [name, specLike(initial)]),
);

export function migrationCommands({ migrations }: Machine): CommandTable {
  return {
    migrate: defineCommand({
      arguments: {
        ...addressArguments,
        resume: { type: 'bool', optional: true },
        // As in QEMU: never waits, whatever it says.
        detach: { type: 'bool', optional: true },
      },
      async run(args) {
        const address = outgoingAddress(args);
        if (args.resume === true) migrations.resume(address);
        else await migrations.start(address);
      },
    }),
    'migrate-start-postcopy': { run: () => migrations.startPostcopy() },
    migrate_cancel: { run: () => migrations.cancel() },
    // Out of band: a command that hangs must not keep the user from breaking a link.
    'migrate-pause': { oob: true, run: () => migrations.pause() },
    'migrate-incoming': defineCommand({
      arguments: { ...addressArguments, 'exit-on-error': { type: 'bool', optional: true } },
      async run(args) {
        migrations.refuseListening(); // QEMU's order: the state first, the address then
        await migrations.listen(incomingAddress(args), args['exit-on-error'] ?? true);
      },
    }),
    'migrate-recover': defineCommand({
      oob: true,
      arguments: { uri: { type: 'str' } },
      async run({ uri }) {
        migrations.refuseRecovery();
        await migrations.recoverAt(uriAddress(uri));
      },
    }),
    'query-migrate': { returns: migrationInfoSpec, run: () => migrations.info() },
    'migrate-set-capabilities': defineCommand({
      arguments: {
        capabilities: {
          type: 'list',
          of: {
            type: 'object',
            members: {
              capability: { type: 'str', values: [...capabilities, ...unsupportedCapabilities] },
              state: { type: 'bool' },
            },
          },
        },
      },
      run: (args) => migrations.changeCapabilities(args.capabilities),
    }),
    'query-migrate-capabilities': {
      returns: { type: 'list', of: capabilityStatusSpec },
      run: () =>
        Object.entries(migrations.capabilities).map(([capability, state]) => ({
          capability,
          state,
        })),
    },
    'migrate-set-parameters': {
      arguments: { ...optional(parameters), ...unsupported },
      run: (args) => migrations.changeParameters(args),
    },
    'query-migrate-parameters': {
      returns: { type: 'object', members: parameters },
      run: () => migrations.parameters,
    },
  };
}

const unsupported: ArgumentsSchema = Object.fromEntries(
  unsupportedParameters.map((name) => [name, { type: 'unsupported', optional: true }]),
);

function optional(schema: ArgumentsSchema): ArgumentsSchema {
  const members = Object.entries(schema).map(([name, spec]) => [name, { ...spec, optional: true }]);
  return Object.fromEntries(members) as ArgumentsSchema; // spread loses which kind it is of
}

/** Of a value like this one. */
function specLike(value: number | boolean | string): ArgumentSpec {
  if (typeof value === 'boolean') return { type: 'bool' };
  return { type: typeof value === 'number' ? 'int' : 'str' };
}

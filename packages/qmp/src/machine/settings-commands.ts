import {
  type Capability,
  capabilityDefaults,
  parameterRules,
  unsupportedCapabilities,
  unsupportedParameters,
} from '@godwit/core';

import type { ArgumentsSchema, ArgumentSpec } from '../arguments.ts';
import { type CommandTable, defineCommand } from '../command-table.ts';
import type { Machine } from './machine.ts';

const capabilities = Object.keys(capabilityDefaults) as Capability[]; // of every name

const capabilityStatusSpec = {
  type: 'object',
  members: { capability: { type: 'str', values: capabilities }, state: { type: 'bool' } },
} as const satisfies ArgumentSpec;

/** Only what kind of value each is: the engine names range and unit when it refuses one. */
const parameters: ArgumentsSchema = Object.fromEntries(
  Object.entries(parameterRules).map(([name, rule]) => [name, specOf(rule)]),
);

/** Capabilities and parameters, set and told. */
export function settingsCommands({ migrations: { settings } }: Machine): CommandTable {
  return {
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
      run: (args) => settings.changeCapabilities(args.capabilities),
    }),
    'query-migrate-capabilities': {
      returns: { type: 'list', of: capabilityStatusSpec },
      run: () =>
        Object.entries(settings.capabilities).map(([capability, state]) => ({
          capability,
          state,
        })),
    },
    'migrate-set-parameters': {
      arguments: { ...optional(parameters), ...unsupported },
      run: (args) => settings.changeParameters(args),
    },
    'query-migrate-parameters': {
      returns: { type: 'object', members: parameters },
      run: () => settings.parameters,
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

type ParameterRule = (typeof parameterRules)[keyof typeof parameterRules];

function specOf(rule: ParameterRule): ArgumentSpec {
  if (rule.kind === 'boolean') return { type: 'bool' };
  if (rule.kind === 'number') return { type: 'int' };
  if (rule.kind === 'string') return { type: 'str' };
  return { type: 'str', values: rule.values, unsupported: rule.unsupported };
}

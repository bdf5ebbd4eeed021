import type { SecurityObject } from '@godwit/core';
import { assertNever } from '@godwit/transport';

import {
  type ArgumentsOf,
  type ArgumentsSchema,
  checkArguments,
  type JsonObject,
} from '../arguments.ts';
import { QmpError } from '../errors.ts';

const str = { type: 'str' } as const;
const credentials = {
  dir: str,
  endpoint: { type: 'str', values: ['client', 'server'] },
} as const satisfies ArgumentsSchema;

/** What each type takes beside `qom-type` and `id`; in QEMU's words (qapi/crypto.json, authz.json). */
const members = {
  'tls-creds-x509': {
    ...credentials,
    'verify-peer': { type: 'bool', optional: true },
    'sanity-check': { type: 'bool', optional: true },
    priority: { type: 'unsupported', optional: true },
    passwordid: { type: 'unsupported', optional: true },
  },
  'tls-creds-psk': {
    ...credentials,
    username: { ...str, optional: true },
    'verify-peer': { type: 'unsupported', optional: true },
    priority: { type: 'unsupported', optional: true },
  },
  'authz-simple': { identity: str },
} as const satisfies Record<string, ArgumentsSchema>;

type ObjectType = keyof typeof members;

const types = Object.keys(members) as ObjectType[]; // of every name

/**
 * Of `object-add`. Which of them go with which type is checked by `securityObject`.
 *
 * QEMU's tls-creds-anon encrypts without knowing who is there: whoever stands between the two reads
 * everything. It is not offered; a key (tls-creds-psk) is as little work.
 */
export const objectArguments = {
  'qom-type': {
    type: 'str',
    values: types,
    unsupported: ['tls-creds-anon', 'authz-list', 'authz-list-file', 'authz-pam', 'secret'],
  },
  id: str,
  ...optional(members['tls-creds-x509']),
  ...optional(members['tls-creds-psk']),
  'verify-peer': { type: 'bool', optional: true },
  ...optional(members['authz-simple']),
} as const satisfies ArgumentsSchema;

/** @throws {QmpError} a member is missing, unknown, not of its kind, or not implemented. */
export function securityObject(args: JsonObject): SecurityObject {
  const common = { 'qom-type': objectArguments['qom-type'], id: str };
  checkArguments({ ...anything(args), ...common }, args);
  const {
    'qom-type': type,
    id,
    ...own
  } = args as JsonObject & { 'qom-type': ObjectType; id: string };
  if (!/^[a-z][\w.-]*$/i.test(id)) {
    throw new QmpError('GenericError', "Parameter 'id' expects an identifier");
  }
  checkArguments(members[type], own);
  switch (type) {
    case 'tls-creds-x509': {
      const { dir, endpoint, ...checks } = own as ArgumentsOf<(typeof members)['tls-creds-x509']>;
      const { 'verify-peer': verifyPeer = true, 'sanity-check': sanityCheck = true } = checks;
      return { type, id, dir, endpoint, verifyPeer, sanityCheck };
    }
    case 'tls-creds-psk': {
      const {
        dir,
        endpoint,
        username = 'qemu',
      } = own as ArgumentsOf<(typeof members)['tls-creds-psk']>;
      return { type, id, dir, endpoint, username };
    }
    case 'authz-simple': {
      const { identity } = own as ArgumentsOf<(typeof members)['authz-simple']>;
      return { type, id, identity };
    }
    default:
      return assertNever(type);
  }
}

/**
 * An object as QEMU's command line writes it: `TYPE,id=ID,NAME=VALUE…`; a comma in a value is written
 * twice.
 *
 * @throws {QmpError} as `securityObject`.
 */
export function securityObjectOption(text: string): SecurityObject {
  const [type = '', ...pairs] = splitOption(text);
  const args: JsonObject = { 'qom-type': type };
  for (const pair of pairs) {
    const [, name = '', value = ''] = /^([^=]+)=(.*)$/s.exec(pair) ?? [];
    if (name === '') throw new QmpError('GenericError', `Expected 'NAME=VALUE' in '${pair}'`);
    args[name] = isSwitch(name) ? switchValue(name, value) : value;
  }
  return securityObject(args);
}

/** @returns the parts between single commas. */
export function splitOption(text: string): readonly string[] {
  const parts = text.match(/(?:[^,]|,,)+/g) ?? [];
  return parts.map((part) => part.replaceAll(',,', ','));
}

function isSwitch(name: string): boolean {
  return name === 'verify-peer' || name === 'sanity-check';
}

function switchValue(name: string, value: string): boolean {
  if (['on', 'yes', 'true', 'y'].includes(value)) return true;
  if (['off', 'no', 'false', 'n'].includes(value)) return false;
  throw new QmpError('GenericError', `Parameter '${name}' expects 'on' or 'off'`);
}

function anything(args: JsonObject): ArgumentsSchema {
  return Object.fromEntries(Object.keys(args).map((name) => [name, { type: 'any' } as const]));
}

function optional<Schema extends ArgumentsSchema>(
  schema: Schema,
): { readonly [Name in keyof Schema]: Schema[Name] & { readonly optional: true } } {
  const entries = Object.entries(schema).map(([name, spec]) => [name, { ...spec, optional: true }]);
  // Of every name, each with one member more: spread loses which kind it is of.
  return Object.fromEntries(entries) as {
    readonly [Name in keyof Schema]: Schema[Name] & { readonly optional: true };
  };
}

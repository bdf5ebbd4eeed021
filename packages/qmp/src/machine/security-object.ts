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
const policy = { type: 'str', values: ['deny', 'allow'] } as const;
const rule = {
  match: str,
  policy,
  format: { type: 'str', values: ['exact', 'glob'], optional: true },
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
  'authz-list': {
    policy: { ...policy, optional: true },
    rules: { type: 'list', of: { type: 'object', members: rule }, optional: true },
  },
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
    unsupported: ['tls-creds-anon', 'authz-list-file', 'authz-pam', 'secret'],
  },
  id: str,
  ...optional(members['tls-creds-x509']),
  ...optional(members['tls-creds-psk']),
  'verify-peer': { type: 'bool', optional: true },
  ...optional(members['authz-simple']),
  ...members['authz-list'],
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
    case 'authz-list': {
      const { policy: otherwise = 'deny', rules = [] } = own as ArgumentsOf<
        (typeof members)['authz-list']
      >;
      const ruled = rules.map(({ match, policy: said, format = 'exact' }) => {
        return { match, policy: said, format };
      });
      return { type, id, policy: otherwise, rules: ruled };
    }
    default:
      return assertNever(type);
  }
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

import { type Address, parseAddress } from '@godwit/transport';

import {
  checkArguments,
  isJsonObject,
  type ArgumentsOf,
  type ArgumentsSchema,
} from '../arguments.ts';
import { QmpError } from '../errors.ts';

/** Of migrate and migrate-incoming: where the other side is, said in one of two ways. */
export const addressArguments = {
  uri: { type: 'str', optional: true },
  channels: {
    type: 'list',
    of: { type: 'object', members: { 'channel-type': { type: 'str' }, addr: { type: 'object' } } },
    optional: true,
  },
} as const satisfies ArgumentsSchema;

/** QEMU's others: known by name, refused by name. */
const unsupportedTransports = ['exec', 'rdma', 'file'];
const unsupportedSockets = ['vsock', 'fd'];
const unsupportedSchemes = new Set([...unsupportedTransports, ...unsupportedSockets]);

const transportMember = { transport: { type: 'str' }, type: { type: 'str' } } as const;
const inetMembers = { ...transportMember, host: { type: 'str' }, port: { type: 'str' } } as const;
const unixMembers = { ...transportMember, path: { type: 'str' } } as const;

/**
 * @throws {QmpError} not exactly one of the two is given, or it is nothing that we can reach.
 * @throws {ChannelError} `ERR_ADDRESS`.
 * @see QEMU migration/migration.c, qmp_migrate.
 */
export function migrationAddress(
  { uri, channels = [] }: ArgumentsOf<typeof addressArguments>,
  command: 'migrate' | 'migrate-incoming',
): Address {
  if (uri !== undefined && channels.length > 0) {
    throw refuse(
      "'uri' and 'channels' arguments are mutually exclusive; " +
        `exactly one of the two should be used in '${command}' qmp command `,
    );
  }
  if (uri !== undefined) return uriAddress(uri);
  if (channels.length === 0) throw refuse("need either 'uri' or 'channels' argument");
  return channelsAddress(channels);
}

/** @throws as `migrationAddress`. */
export function uriAddress(uri: string): Address {
  const [scheme = ''] = uri.split(':', 1);
  if (unsupportedSchemes.has(scheme)) {
    throw refuse(`migration protocol '${scheme}' is not supported; use tcp: or unix:`);
  }
  return parseAddress(uri);
}

function channelsAddress(
  channels: NonNullable<ArgumentsOf<typeof addressArguments>['channels']>,
): Address {
  for (const { 'channel-type': type } of channels) {
    if (type !== 'main') throw refuse(`channel type '${type}' is not supported; only 'main' is`);
  }
  const [main, second] = channels;
  if (main === undefined) throw refuse("Channel list has no 'main' entry");
  if (second !== undefined) throw refuse("Channel list has more than one 'main' entry");
  return socketAddress(main.addr);
}

function socketAddress(addr: unknown): Address {
  const { transport, type } = isJsonObject(addr) ? addr : {};
  if (transport === undefined) throw refuse("Parameter 'channels[0].addr.transport' is missing");
  if (transport !== 'socket') throw unsupported('transport', transport, unsupportedTransports);
  if (!isJsonObject(addr)) throw refuse("Parameter 'channels[0].addr' must be an object");
  switch (type) {
    case 'inet': {
      checkArguments(inetMembers, addr);
      const { host, port } = addr as ArgumentsOf<typeof inetMembers>; // just checked
      return parseAddress(`tcp:${host.includes(':') ? `[${host}]` : host}:${port}`);
    }
    case 'unix': {
      checkArguments(unixMembers, addr);
      const { path } = addr as ArgumentsOf<typeof unixMembers>; // just checked
      return parseAddress(`unix:${path}`);
    }
    case undefined:
      throw refuse("Parameter 'channels[0].addr.type' is missing");
    default:
      throw unsupported('type', type, unsupportedSockets);
  }
}

function unsupported(member: string, value: unknown, known: readonly string[]): QmpError {
  const shown = typeof value === 'string' ? value : JSON.stringify(value);
  return known.includes(shown)
    ? refuse(`Parameter 'channels[0].addr.${member}': '${shown}' is not supported`)
    : refuse(`Parameter 'channels[0].addr.${member}' does not accept value '${shown}'`);
}

function refuse(desc: string): QmpError {
  return new QmpError('GenericError', desc);
}

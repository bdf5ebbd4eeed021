import { type Address, ChannelError, parseAddress } from '@godwit/transport';

import type { ArgumentsOf, ArgumentsSchema, ObjectSpec, ValueOf } from '../arguments.ts';
import { QmpError } from '../errors.ts';

const unsupported = { type: 'unsupported', optional: true } as const;

/** QEMU's SocketAddress, as far as we speak it (qapi/sockets.json). */
export const socketAddressSpec = {
  type: 'union',
  tag: 'type',
  variants: {
    inet: {
      type: 'object',
      members: {
        host: { type: 'str' },
        port: { type: 'str' },
        numeric: unsupported,
        to: unsupported,
        ipv4: unsupported,
        ipv6: unsupported,
        'keep-alive': unsupported,
        mptcp: unsupported,
      },
    },
    unix: {
      type: 'object',
      members: { path: { type: 'str' }, abstract: unsupported, tight: unsupported },
    },
  },
  unsupported: ['vsock', 'fd'],
} as const satisfies ObjectSpec;

/** Of migrate and migrate-incoming: where the other side is, said in one of two ways. */
export const addressArguments = {
  uri: { type: 'str', optional: true },
  channels: {
    type: 'list',
    of: {
      type: 'object',
      members: {
        'channel-type': { type: 'str', values: ['main'], unsupported: ['cpr'] },
        addr: {
          type: 'union',
          tag: 'transport',
          variants: { socket: socketAddressSpec },
          unsupported: ['exec', 'rdma', 'file'],
        },
      },
    },
    optional: true,
  },
} as const satisfies ArgumentsSchema;

type AddressArguments = ArgumentsOf<typeof addressArguments>;

/** QEMU's others: known by name, refused by name. */
const unsupportedSchemes = new Set(['exec', 'rdma', 'file', 'vsock', 'fd']);

/**
 * Where `migrate` goes to.
 *
 * @throws {QmpError} not exactly one of the two is given, or it is nothing that we can reach.
 * @see QEMU migration/migration.c, qmp_migrate.
 */
export function outgoingAddress({ uri, channels = [] }: AddressArguments): Address {
  refuseUnlessOne(uri, channels);
  const [main, second] = channels;
  if (second !== undefined) throw refuse('Channel list has more than one main entry');
  return main === undefined ? uriAddress(uri ?? '') : socketAddress(main.addr);
}

/**
 * Where `migrate-incoming` listens.
 *
 * @throws {QmpError} as `outgoingAddress`.
 * @see QEMU migration/migration.c, qemu_start_incoming_migration.
 */
export function incomingAddress({ uri, channels = [] }: AddressArguments): Address {
  refuseUnlessOne(uri, channels);
  const [main, second] = channels;
  if (second !== undefined) {
    throw refuse("Channel list must have only one entry, for type 'main'");
  }
  return main === undefined ? uriAddress(uri ?? '') : socketAddress(main.addr);
}

/** @throws {QmpError} it is no address, or none that we can reach. */
export function uriAddress(uri: string): Address {
  const [scheme = ''] = uri.split(':', 1);
  if (unsupportedSchemes.has(scheme)) {
    throw refuse(`migration protocol '${scheme}' is not supported; use tcp: or unix:`);
  }
  if (scheme !== 'tcp' && scheme !== 'unix') {
    throw refuse(`unknown migration protocol: ${uri}; use tcp:HOST:PORT or unix:PATH`);
  }
  return parsed(uri);
}

/** As in QEMU, an empty list of channels is none. */
function refuseUnlessOne(uri: string | undefined, channels: readonly unknown[]): void {
  if ((uri === undefined) === (channels.length === 0)) {
    throw refuse("need either 'uri' or 'channels' argument");
  }
}

function socketAddress(addr: ValueOf<typeof socketAddressSpec>): Address {
  if (addr.type === 'unix') return parsed(`unix:${addr.path}`);
  const host = addr.host.includes(':') ? `[${addr.host}]` : addr.host;
  return parsed(`tcp:${host}:${addr.port}`);
}

function parsed(uri: string): Address {
  try {
    return parseAddress(uri);
  } catch (error) {
    if (error instanceof ChannelError) throw refuse(error.message);
    throw error;
  }
}

function refuse(desc: string): QmpError {
  return new QmpError('GenericError', desc);
}

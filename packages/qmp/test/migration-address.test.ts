import { expect, test } from 'vitest';

import { checkArguments, type JsonObject } from '../src/arguments.ts';
import {
  addressArguments,
  incomingAddress,
  outgoingAddress,
} from '../src/machine/migration-address.ts';

const main = (addr: object) => [{ 'channel-type': 'main', addr: { ...addr } }];
const socket = { transport: 'socket' };
const unix = { ...socket, type: 'unix', path: '/run/m' };

/** As the server does: the schema first. */
function parse(args: JsonObject, of = outgoingAddress) {
  checkArguments(addressArguments, args);
  return of(args);
}

test.each([outgoingAddress, incomingAddress])('%o: a uri and its channel are the same', (of) => {
  const tcp = { type: 'tcp', host: '::1', port: 4444 };
  expect(parse({ uri: 'tcp:[::1]:4444' }, of)).toEqual(tcp);
  const inet = main({ ...socket, type: 'inet', host: '::1', port: '4444' });
  expect(parse({ channels: inet }, of)).toEqual(tcp);
  expect(parse({ channels: main(unix) }, of)).toEqual({ type: 'unix', path: '/run/m' });
  expect(parse({ uri: 'unix:/a', channels: [] }, of)).toEqual({ type: 'unix', path: '/a' });
});

test.each([
  [{}, "need either 'uri' or 'channels' argument"],
  [{ channels: [] }, "need either 'uri' or 'channels' argument"],
  [{ uri: 'unix:/a', channels: main(unix) }, "need either 'uri' or 'channels' argument"],
  [{ uri: 'exec:cat' }, "'exec' is not supported"],
  [{ uri: 'carrier-pigeon:7' }, 'unknown migration protocol: carrier-pigeon:7'],
  [{ uri: 'tcp:host' }, 'tcp:'],
  [{ channels: [{ 'channel-type': 'cpr', addr: unix }] }, "'cpr' is not supported, use 'main'"],
  [{ channels: [{ 'channel-type': 'side', addr: unix }] }, "does not accept value 'side'"],
  [{ channels: [{ addr: unix }] }, "Parameter 'channels[0].channel-type' is missing"],
  [{ channels: [...main(unix), ...main(unix)] }, 'Channel list has more than one main entry'],
  [{ channels: main({}) }, "'channels[0].addr.transport' is missing"],
  [{ channels: main({ transport: 5 }) }, "for 'channels[0].addr.transport', expected: string"],
  [{ channels: main({ transport: 'rdma' }) }, "'rdma' is not supported, use 'socket'"],
  [{ channels: main({ transport: 'tube' }) }, "does not accept value 'tube'"],
  [{ channels: main({ ...socket, type: 'vsock' }) }, "'vsock' is not supported"],
  [{ channels: main(socket) }, "'channels[0].addr.type' is missing"],
  [{ channels: main({ ...socket, type: 'unix' }) }, "'channels[0].addr.path' is missing"],
  [{ channels: main({ ...unix, colour: 1 }) }, "'channels[0].addr.colour' is unexpected"],
  [
    { channels: main({ ...socket, type: 'inet', host: 'h', port: '1', mptcp: true }) },
    "'channels[0].addr.mptcp' is not supported",
  ],
])('%j is refused by name', (args, text) => {
  expect(() => parse(args)).toThrow(text);
});

test('a destination listens in one place', () => {
  const channels = [...main(unix), ...main(unix)];
  expect(() => parse({ channels }, incomingAddress)).toThrow(
    "Channel list must have only one entry, for type 'main'",
  );
});

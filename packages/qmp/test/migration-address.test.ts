import { expect, test } from 'vitest';

import { migrationAddress } from '../src/machine/migration-address.ts';

const main = (addr: object) => [{ 'channel-type': 'main', addr: { ...addr } }];
const socket = { transport: 'socket' };

test('a uri and its channel are the same address', () => {
  const tcp = { type: 'tcp', host: '::1', port: 4444 };
  expect(migrationAddress({ uri: 'tcp:[::1]:4444' }, 'migrate')).toEqual(tcp);
  const inet = main({ ...socket, type: 'inet', host: '::1', port: '4444' });
  expect(migrationAddress({ channels: inet }, 'migrate')).toEqual(tcp);
  const unix = main({ ...socket, type: 'unix', path: '/run/m' });
  expect(migrationAddress({ channels: unix }, 'migrate')).toEqual({ type: 'unix', path: '/run/m' });
});

test.each([
  [{}, "need either 'uri' or 'channels' argument"],
  [{ channels: [] }, "need either 'uri' or 'channels' argument"],
  [{ uri: 'unix:/a', channels: main(socket) }, 'mutually exclusive'],
  [{ uri: 'exec:cat' }, "'exec' is not supported"],
  [{ uri: 'carrier-pigeon:7' }, 'must begin with tcp: or unix:'],
  [{ channels: [{ 'channel-type': 'cpr', addr: socket }] }, "'cpr' is not supported"],
  [{ channels: [...main(socket), ...main(socket)] }, "more than one 'main' entry"],
  [{ channels: main({}) }, "'channels[0].addr.transport' is missing"],
  [{ channels: main({ transport: 'rdma' }) }, "'rdma' is not supported"],
  [{ channels: main({ transport: 'tube' }) }, "does not accept value 'tube'"],
  [{ channels: main({ ...socket, type: 'vsock' }) }, "'vsock' is not supported"],
  [{ channels: main(socket) }, "'channels[0].addr.type' is missing"],
  [{ channels: main({ ...socket, type: 'unix' }) }, "'path' is missing"],
  [
    { channels: main({ ...socket, type: 'inet', host: 'h', port: '1', mptcp: true }) },
    "'mptcp' is unexpected",
  ],
])('%j is refused by name', (args, text) => {
  expect(() => migrationAddress(args, 'migrate')).toThrow(text);
});

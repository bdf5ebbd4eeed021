import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Address, formatAddress, parseAddress, sameAddress } from '../src/address.ts';
import { ChannelError } from '../src/errors.ts';

const good: readonly (readonly [text: string, address: Address])[] = [
  ['tcp:127.0.0.1:4444', { type: 'tcp', host: '127.0.0.1', port: 4444 }],
  ['tcp:example.org:65535', { type: 'tcp', host: 'example.org', port: 65_535 }],
  ['tcp:localhost:0', { type: 'tcp', host: 'localhost', port: 0 }],
  ['tcp::4444', { type: 'tcp', host: '', port: 4444 }],
  ['tcp:[::1]:4444', { type: 'tcp', host: '::1', port: 4444 }],
  ['tcp:[::]:0', { type: 'tcp', host: '::', port: 0 }],
  ['tcp:[fe80::1%eth0]:1', { type: 'tcp', host: 'fe80::1%eth0', port: 1 }],
  ['unix:/run/godwit.sock', { type: 'unix', path: '/run/godwit.sock' }],
  ['unix:relative.sock', { type: 'unix', path: 'relative.sock' }],
  ['unix:/odd:[name] with spaces', { type: 'unix', path: '/odd:[name] with spaces' }],
  [`unix:/${'x'.repeat(106)}`, { type: 'unix', path: `/${'x'.repeat(106)}` }],
];

test.each(good)('%s is read and written alike', (text, address) => {
  expect(parseAddress(text)).toEqual(address);
  expect(formatAddress(address)).toBe(text);
});

describe('what is no address is refused, with the part that is wrong', () => {
  test.each([
    ['', 'must begin with tcp: or unix:'],
    ['/run/godwit.sock', 'must begin with tcp: or unix:'],
    ['exec:sh', 'must begin with tcp: or unix:'],
    ['TCP:localhost:1', 'must begin with tcp: or unix:'],
    ['tcp:', 'expected tcp:HOST:PORT'],
    ['tcp:localhost', 'expected tcp:HOST:PORT'],
    ['tcp:localhost:', 'expected tcp:HOST:PORT'],
    ['tcp:localhost:http', 'expected tcp:HOST:PORT'],
    ['tcp:localhost:-1', 'expected tcp:HOST:PORT'],
    ['tcp:localhost:1.5', 'expected tcp:HOST:PORT'],
    ['tcp:localhost:0x10', 'expected tcp:HOST:PORT'],
    ['tcp:localhost:1 ', 'expected tcp:HOST:PORT'],
    ['tcp:localhost:1\n', 'expected tcp:HOST:PORT'],
    ['tcp:local host:1', 'expected tcp:HOST:PORT'],
    ['tcp:local\0host:1', 'expected tcp:HOST:PORT'],
    ['tcp:localhost:123456', 'expected tcp:HOST:PORT'],
    ['tcp:localhost:65536', 'port 65536 is above 65535'],
    ['tcp:::1:4444', 'IPv6 in brackets'],
    ['tcp:[::1]', 'expected tcp:HOST:PORT'],
    ['tcp:[::1:4444', 'expected tcp:HOST:PORT'],
    ['tcp:::1]:4444', 'expected tcp:HOST:PORT'],
    ['tcp:[]:4444', 'not an IPv6 address'],
    ['tcp:[localhost]:4444', 'not an IPv6 address'],
    ['tcp:[a[b]:4444', 'not an IPv6 address'],
    ['tcp:[::1::2]:4444', 'not an IPv6 address'],
    ['unix:', 'the path is empty'],
    ['unix:/a\0b', 'NUL byte'],
    ['unix:\0abstract', 'NUL byte'],
    [`unix:/${'x'.repeat(107)}`, 'longer than 107 bytes'],
    [`unix:/${'é'.repeat(54)}`, 'longer than 107 bytes'],
  ])('%j', (text, offence) => {
    expect(() => parseAddress(text)).toThrow(
      expect.objectContaining({ code: 'ERR_ADDRESS', message: expect.stringContaining(offence) }),
    );
  });
});

test('any text is an address that is written as it is read, or refused by name', () => {
  const host = fc.oneof(
    fc.domain(),
    fc.ipV4(),
    fc.ipV6().map((address) => `[${address}]`),
    fc.string({ maxLength: 8, unit: fc.constantFrom('a', '[', ']', ':', ' ', '.', '%', '\n') }),
  );
  const text = fc.oneof(
    fc
      .tuple(host, fc.integer({ min: -1, max: 70_000 }))
      .map(([name, port]) => `tcp:${name}:${port}`),
    fc.string({ maxLength: 120, unit: 'grapheme' }).map((path) => `unix:${path}`),
    fc.string({ unit: 'binary' }),
  );
  fc.assert(
    fc.property(text, (given) => {
      let address: Address;
      try {
        address = parseAddress(given);
      } catch (error) {
        expect(error).toBeInstanceOf(ChannelError);
        expect(error).toHaveProperty('code', 'ERR_ADDRESS');
        return;
      }
      expect(parseAddress(formatAddress(address))).toEqual(address);
      expect(sameAddress(parseAddress(formatAddress(address)), address)).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

test('addresses differ in their kind, their host and their port', () => {
  const texts = ['tcp:a:1', 'tcp:b:1', 'tcp:a:2', 'unix:a', 'unix:b'];
  for (const a of texts) {
    for (const b of texts) expect(sameAddress(parseAddress(a), parseAddress(b))).toBe(a === b);
  }
});

import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import {
  Authority,
  type Identity,
  thisHost,
  writePsk,
  writeX509,
} from '../../../test/support/certificates.ts';
import { loadPsk, loadX509 } from '../src/tls/credential-files.ts';
import { newPath } from './openings.ts';

let authority: Authority;
let stranger: Authority;
let server: Identity;

beforeAll(async () => {
  [authority, stranger] = await Promise.all([Authority.create('CA'), Authority.create('other CA')]);
  server = await authority.issue({ subject: 'CN=localhost', names: thisHost });
});

async function load(
  endpoint: 'client' | 'server',
  change: (dir: string) => Promise<void> = async () => undefined,
  sanityCheck = true,
): Promise<unknown> {
  const dir = await writeX509(dirname(newPath('x')), { authority, server });
  await change(dir);
  return await loadX509({ dir, endpoint, verifyPeer: true, sanityCheck });
}

test('a client needs no certificate of its own, a server does', async () => {
  expect(await load('client')).not.toHaveProperty('own');
  expect(await load('server')).toHaveProperty('own');
});

test.each(['ca-cert.pem', 'server-cert.pem', 'server-key.pem'])(
  'a server without %s is refused, with its name',
  async (name) => {
    await expect(load('server', (dir) => rm(join(dir, name)))).rejects.toMatchObject({
      code: 'ERR_CREDENTIALS',
      message: expect.stringMatching(new RegExp(`/${name} is missing$`)),
    });
  },
);

test.each([
  ['ca-cert.pem', 'is no certificate'],
  ['server-cert.pem', 'is no certificate'],
  ['server-key.pem', 'is no private key'],
  ['ca-crl.pem', 'is no revocation list'],
])('a %s of something else is refused, with its name', async (name, why) => {
  const garble = (dir: string): Promise<void> => writeFile(join(dir, name), 'something else');
  await expect(load('server', garble)).rejects.toThrow(`${name} ${why}`);
});

test('what does not go together, or is not of its time, is refused; unless nobody wants it checked', async () => {
  const other = await stranger.issue({ subject: 'CN=localhost', names: thisHost });
  const old = await authority.issue({ subject: 'CN=localhost', days: [-2, -1] });
  const early = await authority.issue({ subject: 'CN=localhost', days: [1, 2] });
  const with_ = (identity: Identity) => async (dir: string) => {
    await writeX509(dir, { authority, server: identity });
  };
  await expect(load('server', with_(other))).rejects.toThrow('was not issued by');
  await expect(load('server', with_(old))).rejects.toThrow('has expired');
  await expect(load('server', with_(early))).rejects.toThrow('is not valid yet');
  for (const it of [other, old, early]) await load('server', with_(it), false);
  const wrongKey = (dir: string): Promise<void> =>
    writeFile(join(dir, 'server-key.pem'), other.key);
  await expect(load('server', wrongKey, false)).rejects.toThrow('is not the key of');
});

test('keys are found by user name, and a line that is none is named without its secret', async () => {
  const key = randomBytes(32).toString('hex');
  const dir = await writePsk(dirname(newPath('x')), key);
  expect(await loadPsk(dir, 'client', 'qemu')).toMatchObject({ keys: { qemu: key } });
  await expect(loadPsk(dir, 'client', 'else')).rejects.toThrow("has no key for the user 'else'");
  await expect(loadPsk(join(dir, 'none'), 'server', 'qemu')).rejects.toThrow('keys.psk is missing');
  await writeFile(join(dir, 'keys.psk'), `# a comment\nqemu:${key}\nqemu:secret\n`);
  await expect(loadPsk(dir, 'server', 'qemu')).rejects.toThrow(
    /keys\.psk, line 3: expected username:hexkey$/,
  );
});

import { expect, test, vi } from 'vitest';
import { writePsk } from '../support/certificates.ts';
import { GodwitCommand } from '../support/godwit-command.ts';
import { GuestProcess } from '../support/guest-process.ts';
import { verifyOwner } from '../support/ownership.ts';
import { TestDirectory } from '../support/test-directory.ts';

/** Two processes whose QMP speaks TLS on a port beside the socket of the tests. */
async function withSecureMonitors(
  body: (a: GuestProcess, b: GuestProcess, client: readonly string[]) => Promise<void>,
): Promise<void> {
  await using directory = await TestDirectory.make();
  const dir = await writePsk(directory.file('psk'));
  const object = `tls-creds-psk,id=tls0,dir=${dir},endpoint`;
  const monitor = ['--qmp', 'tcp:127.0.0.1:0,tls-creds=tls0', '--object', `${object}=server`];
  const common = { directory, rate: 2_000, extraArgs: monitor };
  await using a = await GuestProcess.start({ ...common, name: 'a' });
  await using b = await GuestProcess.start({ ...common, name: 'b', incoming: 'defer' });
  await body(a, b, ['--object', `${object}=client`]);
}

/** Where its second monitor answers, as it has printed. */
async function portOf(guest: GuestProcess): Promise<string> {
  const words = await vi.waitUntil(() => / (tcp:127\.0\.0\.1:\d+)/.exec(guest.output), 10_000);
  return words[1] ?? '';
}

async function done(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await GodwitCommand.run(...args);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return stdout;
}

test('status and why look through TLS, at both sides', () =>
  withSecureMonitors(async (a, b, client) => {
    const monitors = [await portOf(a), await portOf(b)];
    const sides = monitors.flatMap((it) => ['--qmp', `${it},tls-creds=tls0`]);
    const lines = await done('status', ...sides, ...client, '--json');
    const told = lines
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { status: object });
    expect(told.map(({ status }) => status)).toMatchObject([
      { status: 'running' },
      { status: 'inmigrate' },
    ]);
    const verdict = await done('why', ...sides, ...client, '--for', '50ms', '--json');
    expect(JSON.parse(verdict)).toMatchObject({ limit: expect.any(String) });
  }));

test('evacuate speaks TLS with every process, and a URI may follow the options', () =>
  withSecureMonitors(async (a, b, client) => {
    const from = `${await portOf(a)},tls-creds=tls0`;
    const to = `${await portOf(b)},tls-creds=tls0=tcp:127.0.0.1:0`;
    const told = await done('evacuate', '--from', from, '--to', to, ...client, '--json');
    expect(JSON.parse(told)).toMatchObject({ moved: 1, guests: [{ name: 'a', phase: 'moved' }] });
    await verifyOwner(b, [a]);
  }));

test('credentials that are not there are a mistake of usage, before anything is tried', () =>
  withSecureMonitors(async (a, b, client) => {
    const unknown = `${await portOf(a)},tls-creds=other`;
    const known = `${await portOf(b)},tls-creds=tls0`;
    for (const way of [
      ['status', '--qmp', known, '--qmp', unknown],
      ['evacuate', '--from', known, '--to', unknown],
    ]) {
      const { code, stdout, stderr } = await GodwitCommand.run(...way, ...client);
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toContain("No TLS credentials with id 'other'");
    }
  }));

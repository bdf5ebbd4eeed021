import assert from 'node:assert/strict';
import {
  Authority,
  CLIENT_NAME,
  CLIENT_SUBJECT,
  thisHost,
  writePsk,
  writeX509,
} from './certificates.ts';
import type { GuestProcess } from './guest-process.ts';
import type { Pair } from './pair.ts';
import { type MigrateOptions, withQemuPair } from './qemu-steps.ts';
import { TestDirectory } from './test-directory.ts';

/*
 * What QEMU's tests do about TLS before a migration: `migrate_hook_start_tls_*` of
 * tests/qtest/migration/tls-tests.c.
 */

type Prepare = (pair: Pair) => Promise<void>;

/** As `withQemuPair`, both sides secured before anything else. */
export async function withSecurePair(
  prepare: Prepare,
  options: MigrateOptions,
  body: (pair: Pair) => Promise<void>,
): Promise<void> {
  await withQemuPair(options, async (pair) => {
    await prepare(pair);
    await body(pair);
  });
}

/** Both know one key, or each another one. */
export function psk(match: 'match' | 'mismatch' = 'match'): Prepare {
  return async ({ source, destination }) => {
    await using directory = await TestDirectory.make(); // the files are read once
    const dir = await writePsk(directory.file('psk'));
    const other = match === 'match' ? dir : await writePsk(directory.file('psk-other'));
    await useObject(destination, { 'qom-type': 'tls-creds-psk', dir, endpoint: 'server' });
    await useObject(source, { 'qom-type': 'tls-creds-psk', dir: other, endpoint: 'client' });
  };
}

export interface X509Steps {
  /** What the server's certificate names; default this host. */
  readonly serverNames?: 'this host' | 'qemu.org';
  readonly overrideHost?: string;
  /** What the client has; default a certificate of the same authority. */
  readonly client?: 'hostile' | 'none';
  /** The destination asks for no certificate. */
  readonly allowAnonymous?: true;
  /** Only this name is let in. */
  readonly authz?: 'friendly' | 'other';
}

export function x509(steps: X509Steps = {}): Prepare {
  return async ({ source, destination }) => {
    await using directory = await TestDirectory.make();
    const [authority, stranger] = await Promise.all([Authority.create('A'), Authority.create('B')]);
    const names = [{ type: 'dns', value: 'qemu.org' } as const];
    const server = await authority.issue(
      steps.serverNames === 'qemu.org'
        ? { subject: 'CN=qemu.org', names }
        : { subject: 'CN=localhost', names: thisHost },
    );
    const issuer = steps.client === 'hostile' ? stranger : authority;
    const client = await issuer.issue({ subject: CLIENT_SUBJECT });
    const there = await writeX509(directory.file('server'), { authority, server });
    const own = steps.client === 'none' ? {} : { client };
    const here = await writeX509(directory.file('client'), { authority, ...own });
    const common = { 'qom-type': 'tls-creds-x509' };
    const anyone = steps.allowAnonymous === true ? { 'verify-peer': false } : {};
    await useObject(destination, { ...common, dir: there, endpoint: 'server', ...anyone });
    // QEMU has no such check of a certificate against its authority for a hostile client.
    const unchecked = { 'sanity-check': false };
    await useObject(source, { ...common, dir: here, endpoint: 'client', ...unchecked });
    const { overrideHost, authz } = steps;
    if (overrideHost !== undefined) await source.setParameters({ 'tls-hostname': overrideHost });
    if (authz === undefined) return;
    const identity = authz === 'friendly' ? CLIENT_NAME : 'CN=somebody,O=Else';
    const object = { 'qom-type': 'authz-simple', id: 'authz0', identity };
    await destination.execute('object-add', object);
    await destination.setParameters({ 'tls-authz': 'authz0' });
  };
}

/** `object-add` as tls0, and `tls-creds`. */
export async function useObject(
  guest: GuestProcess,
  object: Record<string, unknown>,
): Promise<void> {
  await guest.execute('object-add', { ...object, id: 'tls0' });
  await guest.setParameters({ 'tls-creds': 'tls0' });
  const { 'tls-creds': creds } = await guest.execute<Record<string, unknown>>(
    'query-migrate-parameters',
  );
  assert.equal(creds, 'tls0');
}

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { ChannelError } from '../errors.ts';
import type { PskCredentials, TlsEndpoint, X509Credentials } from './credentials.ts';

/*
 * Credentials as QEMU keeps them: a directory of files with fixed names. They are read once; who
 * changes the files makes the object anew.
 */

export interface X509Files {
  readonly dir: string;
  readonly endpoint: TlsEndpoint;
  readonly verifyPeer: boolean;
  /** Looks at dates, issuer and key now, not only when somebody connects. */
  readonly sanityCheck: boolean;
}

/**
 * @throws {ChannelError} `ERR_CREDENTIALS`: a file is missing or cannot be read, is not what it must
 *   be, or does not go with the others; the message names it.
 * @see QEMU crypto/tlscredsx509.c
 */
export async function loadX509(files: X509Files): Promise<X509Credentials> {
  const { dir, endpoint, verifyPeer } = files;
  const ca = await required(dir, 'ca-cert.pem');
  const crl = await optional(dir, 'ca-crl.pem');
  const [certName, keyName] = [`${endpoint}-cert.pem`, `${endpoint}-key.pem`];
  const load = endpoint === 'server' ? required : optional;
  const cert = await load(dir, certName);
  const key = cert === undefined ? undefined : await required(dir, keyName);
  if (crl !== undefined) checkRevocations(crl, join(dir, 'ca-crl.pem'));
  const authority = certificate(ca, join(dir, 'ca-cert.pem'));
  if (files.sanityCheck) checkDates(authority, join(dir, 'ca-cert.pem'));
  const common = {
    type: 'x509',
    endpoint,
    verifyPeer,
    ca,
    ...(crl === undefined ? {} : { crl }),
  } as const;
  if (cert === undefined || key === undefined) return common;
  const path = join(dir, certName);
  const own = certificate(cert, path);
  checkKey(own, path, key, join(dir, keyName));
  if (files.sanityCheck) {
    checkDates(own, path);
    checkIssuer(own, { path, text: cert }, { path: join(dir, 'ca-cert.pem'), text: ca });
  }
  return { ...common, own: { cert, key } };
}

/**
 * From `keys.psk`, a line `username:hexkey` for each user, as psktool of GnuTLS makes it.
 *
 * @throws {ChannelError} `ERR_CREDENTIALS`, as `loadX509`.
 * @see QEMU crypto/tlscredspsk.c
 */
export async function loadPsk(
  dir: string,
  endpoint: TlsEndpoint,
  username: string,
): Promise<PskCredentials> {
  const path = join(dir, 'keys.psk');
  const keys = parseKeys(await required(dir, 'keys.psk'), path);
  if (endpoint === 'server') return { type: 'psk', endpoint, username, keys };
  const key = Object.hasOwn(keys, username) ? keys[username] : undefined;
  if (key === undefined) throw unusable(`${path} has no key for the user '${username}'`);
  return { type: 'psk', endpoint, username, keys: { [username]: key } };
}

interface NamedText {
  readonly path: string;
  readonly text: string;
}

/** OpenSSL takes no longer ones (PSK_MAX_PSK_LEN, PSK_MAX_IDENTITY_LEN). */
const KEY_BYTES_MAX = 512;
const USERNAME_BYTES_MAX = 128;

function parseKeys(text: string, path: string): Readonly<Record<string, string>> {
  const keys: [string, string][] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [, username = '', key = ''] = /^([^:]+):((?:[\da-f]{2})+)\s*$/i.exec(line) ?? [];
    const isUsable =
      username !== '' &&
      Buffer.byteLength(username) <= USERNAME_BYTES_MAX &&
      key.length / 2 <= KEY_BYTES_MAX;
    // The line itself is a secret.
    if (!isUsable) throw unusable(`${path}, line ${index + 1}: expected username:hexkey`);
    keys.push([username, key]);
  }
  if (keys.length === 0) throw unusable(`${path} holds no key`);
  return Object.fromEntries(keys);
}

function certificate(pem: string, path: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw unusable(`${path} is no certificate: ${(cause as Error).message}`, cause);
  }
}

function checkRevocations(crl: string, path: string): void {
  try {
    createSecureContext({ crl });
  } catch (cause) {
    throw unusable(`${path} is no revocation list: ${(cause as Error).message}`, cause);
  }
}

function checkDates({ validFrom, validTo }: X509Certificate, path: string): void {
  if (Date.parse(validTo) < Date.now()) throw unusable(`${path} has expired (${validTo})`);
  if (Date.parse(validFrom) > Date.now()) throw unusable(`${path} is not valid yet (${validFrom})`);
}

/** By a certificate of the authorities' file, or by one that stands behind the own in its file. */
function checkIssuer(own: X509Certificate, ownFile: NamedText, ca: NamedText): void {
  const issuers = [...pems(ca.text), ...pems(ownFile.text).slice(1)];
  const isIssued = issuers.some((pem) => {
    const issuer = certificate(pem, ca.path);
    return own.checkIssued(issuer) && own.verify(issuer.publicKey);
  });
  if (!isIssued) throw unusable(`${ownFile.path} was not issued by ${ca.path}`);
}

function pems(text: string): readonly string[] {
  return text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [text];
}

function checkKey(own: X509Certificate, path: string, key: string, keyPath: string): void {
  let isOurs: boolean;
  try {
    isOurs = own.checkPrivateKey(createPrivateKey(key));
  } catch (cause) {
    throw unusable(`${keyPath} is no private key: ${(cause as Error).message}`, cause);
  }
  if (!isOurs) throw unusable(`${keyPath} is not the key of ${path}`);
}

async function required(dir: string, name: string): Promise<string> {
  const text = await optional(dir, name);
  if (text !== undefined) return text;
  throw unusable(`${join(dir, name)} is missing`);
}

async function optional(dir: string, name: string): Promise<string | undefined> {
  try {
    return await readFile(join(dir, name), 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unusable(`${join(dir, name)} cannot be read: ${(cause as Error).message}`, cause);
  }
}

function unusable(message: string, cause?: unknown): ChannelError {
  return new ChannelError('ERR_CREDENTIALS', message, cause === undefined ? {} : { cause });
}

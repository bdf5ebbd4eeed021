import 'reflect-metadata'; // what the library's own dependency insists on
import { randomBytes, webcrypto } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  type JsonGeneralNames,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
  X509CrlGenerator,
} from '@peculiar/x509';

const { subtle } = webcrypto;
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DAY_MILLIS = 86_400_000;

export interface Identity {
  readonly certificate: X509Certificate;
  readonly cert: string;
  readonly key: string;
}

export interface IdentityOptions {
  /** As a certificate orders it: `C=GB, O=Example Home, CN=laptop`. */
  readonly subject: string;
  /** Of hosts. */
  readonly names?: JsonGeneralNames;
  /** From now on, in days; default from yesterday to tomorrow. */
  readonly days?: readonly [from: number, to: number];
}

/** Who signs certificates in a test. */
export class Authority {
  readonly cert: string;
  readonly #certificate: X509Certificate;
  readonly #keys: webcrypto.CryptoKeyPair;

  static async create(name: string): Promise<Authority> {
    const keys = await newKeys();
    const certificate = await X509CertificateGenerator.createSelfSigned({
      ...validity(),
      name: `CN=${name}`,
      keys,
      extensions: [
        new BasicConstraintsExtension(true, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      ],
    });
    return new Authority(certificate, keys);
  }

  private constructor(certificate: X509Certificate, keys: webcrypto.CryptoKeyPair) {
    this.#certificate = certificate;
    this.#keys = keys;
    this.cert = certificate.toString('pem');
  }

  async issue({ subject, names, days }: IdentityOptions): Promise<Identity> {
    const keys = await newKeys();
    const extensions: Extension[] = [
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
    ];
    if (names !== undefined) extensions.push(new SubjectAlternativeNameExtension(names));
    const certificate = await X509CertificateGenerator.create({
      ...validity(days),
      subject,
      issuer: this.#certificate.subject,
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      extensions,
    });
    const key = PemConverter.encode(
      await subtle.exportKey('pkcs8', keys.privateKey),
      'PRIVATE KEY',
    );
    return { certificate, cert: certificate.toString('pem'), key };
  }

  /** @returns the revocation list with this certificate. */
  async revoke({ certificate: { serialNumber } }: Identity): Promise<string> {
    const crl = await X509CrlGenerator.create({
      signingAlgorithm: algorithm,
      issuer: this.#certificate.subject,
      thisUpdate: new Date(Date.now() - DAY_MILLIS),
      nextUpdate: new Date(Date.now() + DAY_MILLIS),
      entries: [{ serialNumber, revocationDate: new Date(Date.now() - DAY_MILLIS) }],
      signingKey: this.#keys.privateKey,
    });
    return PemConverter.encode(crl.rawData, 'X509 CRL'); // as OpenSSL and GnuTLS call it
  }
}

/** Both names of this host, as tests dial it. */
export const thisHost: JsonGeneralNames = [
  { type: 'dns', value: 'localhost' },
  { type: 'ip', value: '127.0.0.1' },
];

export const CLIENT_SUBJECT = 'C=GB, ST=London, L=London, O=Example Home, CN=laptop.example.com';
/** The same as it is written for `authz`. */
export const CLIENT_NAME = 'CN=laptop.example.com,O=Example Home,L=London,ST=London,C=GB';

/** What a directory of credentials holds; what is left out is not there. */
export interface X509Directory {
  readonly authority: Authority;
  readonly server?: Identity;
  readonly client?: Identity;
  readonly crl?: string;
}

/** @returns the directory, with the files as QEMU names them. */
export async function writeX509(dir: string, files: X509Directory): Promise<string> {
  const { authority, server, client, crl } = files;
  await mkdir(dir, { recursive: true });
  const texts = {
    'ca-cert.pem': authority.cert,
    'ca-crl.pem': crl,
    'server-cert.pem': server?.cert,
    'server-key.pem': server?.key,
    'client-cert.pem': client?.cert,
    'client-key.pem': client?.key,
  };
  for (const [name, text] of Object.entries(texts)) {
    if (text !== undefined) await writeFile(join(dir, name), text, { mode: 0o600 });
  }
  return dir;
}

/** @returns the directory, with keys.psk for the user `qemu`. */
export async function writePsk(
  dir: string,
  key = randomBytes(32).toString('hex'),
): Promise<string> {
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, 'keys.psk'), `qemu:${key}\n`, { mode: 0o600 });
  return dir;
}

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return await subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

function validity(days: readonly [from: number, to: number] = [-1, 1]): {
  signingAlgorithm: typeof algorithm;
  notBefore: Date;
  notAfter: Date;
} {
  const [notBefore, notAfter] = days.map((day) => new Date(Date.now() + day * DAY_MILLIS));
  return {
    signingAlgorithm: algorithm,
    notBefore: notBefore as Date,
    notAfter: notAfter as Date,
  };
}

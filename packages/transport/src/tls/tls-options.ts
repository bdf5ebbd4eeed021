import { isIP } from 'node:net';
import type { ConnectionOptions, TLSSocket, TlsOptions } from 'node:tls';
import type { PskCredentials, TlsCredentials, X509Credentials } from './credentials.ts';

/** What `node:tls` connects with. @param hostname what the server's certificate must name. */
export function clientOptions(credentials: TlsCredentials, hostname: string): ConnectionOptions {
  const own =
    credentials.type === 'psk' ? pskClient(credentials) : x509Client(credentials, hostname);
  return { ...common, ...own };
}

/** What `node:tls` listens with. @param onUser told who a client with a key says it is. */
export function serverOptions(
  credentials: TlsCredentials,
  onUser: (username: string, socket: TLSSocket) => void = () => undefined,
): TlsOptions {
  const own = credentials.type === 'psk' ? pskServer(credentials, onUser) : x509Server(credentials);
  return { ...common, ...own };
}

/**
 * AES with keys of 128 bits comes first: it costs less than 256 do, and nobody breaks it either. Of
 * TLS 1.2 those ciphers that keep what was recorded a secret when a key is lost.
 */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');
/** A plain key goes with the hash SHA-256 in TLS 1.3. */
const PSK_CIPHERS = 'TLS_AES_128_GCM_SHA256:ECDHE-PSK-CHACHA20-POLY1305:DHE-PSK-AES128-GCM-SHA256';

const common = { minVersion: 'TLSv1.2' } as const;

function x509Client(credentials: X509Credentials, hostname: string): ConnectionOptions {
  return {
    ...x509Options(credentials),
    rejectUnauthorized: credentials.verifyPeer,
    // `host` is what the certificate is checked against; a server name must not be an address (RFC 6066).
    host: hostname,
    servername: isIP(hostname) === 0 ? hostname : '',
  };
}

function pskClient({ username, keys }: PskCredentials): ConnectionOptions {
  const psk = Buffer.from(keys[username] ?? '', 'hex');
  return {
    ciphers: PSK_CIPHERS,
    pskCallback: () => ({ identity: username, psk }),
    checkServerIdentity: () => undefined, // there is no certificate; whoever has the key is the server
  };
}

/** With `rejectUnauthorized` Node and OpenSSL let nobody in whose certificate is not in order. */
function x509Server(credentials: X509Credentials): TlsOptions {
  const { verifyPeer } = credentials;
  return { ...x509Options(credentials), requestCert: verifyPeer, rejectUnauthorized: verifyPeer };
}

function pskServer(
  { keys }: PskCredentials,
  onUser: (username: string, socket: TLSSocket) => void,
): TlsOptions {
  return {
    ciphers: PSK_CIPHERS,
    pskCallback(socket, username) {
      const key = Object.hasOwn(keys, username) ? keys[username] : undefined;
      if (key === undefined) return null;
      onUser(username, socket);
      return Buffer.from(key, 'hex');
    },
  };
}

function x509Options({ ca, crl, own }: X509Credentials): ConnectionOptions & TlsOptions {
  return { ciphers: CIPHERS, ca, ...(crl === undefined ? {} : { crl }), ...own };
}

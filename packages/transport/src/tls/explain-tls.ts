/*
 * Why TLS failed, in words for whoever looks after the two sides. The codes are OpenSSL's and Node's;
 * "alert" is what the other side says of us.
 */

const UNKNOWN_AUTHORITY = "the other side's certificate is of an authority that is not known here";
const NOT_TLS = 'the other side does not speak TLS';
const NO_COMMON =
  'the two sides have no version or cipher of TLS in common, or one uses keys (PSK) where the other uses certificates';
const WRONG_KEY = 'the other side has another key (PSK) for this user name, or none';

const reasons: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "the other side's certificate has expired",
  CERT_NOT_YET_VALID: "the other side's certificate is not valid yet",
  CERT_REVOKED: "the other side's certificate was revoked",
  CRL_HAS_EXPIRED: 'the revocation list (ca-crl.pem) has expired here',
  INVALID_PURPOSE: "the other side's certificate is not meant for this purpose",
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_AUTHORITY,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  CERT_SIGNATURE_FAILURE: UNKNOWN_AUTHORITY,
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE:
    'the other side has no certificate, and verify-peer asks for one',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    'the other side asks for a certificate, and this side has none',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    'the other side says that the certificate of this side has expired',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA:
    'the other side does not know the authority of the certificate of this side',
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE:
    'the other side does not accept the certificate of this side',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    'the other side does not accept the certificate of this side',
  ERR_SSL_WRONG_VERSION_NUMBER: NOT_TLS,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NOT_TLS,
  ERR_SSL_HTTP_REQUEST: NOT_TLS,
  ERR_SSL_BAD_RECORD_TYPE: NOT_TLS,
  ERR_SSL_UNEXPECTED_MESSAGE: NOT_TLS,
  ERR_SSL_NO_SHARED_CIPHER: NO_COMMON,
  ERR_SSL_UNSUPPORTED_PROTOCOL: NO_COMMON,
  ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM: NO_COMMON,
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: NO_COMMON,
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: NO_COMMON,
  ERR_SSL_BINDER_DOES_NOT_VERIFY: WRONG_KEY,
  ERR_SSL_BAD_PSK: WRONG_KEY,
  ERR_SSL_PSK_IDENTITY_NOT_FOUND: WRONG_KEY,
  ERR_SSL_SSLV3_ALERT_ILLEGAL_PARAMETER: WRONG_KEY,
  ERR_SSL_TLSV1_ALERT_DECRYPT_ERROR: WRONG_KEY,
  ERR_SSL_TLSV1_ALERT_UNKNOWN_PSK_IDENTITY: WRONG_KEY,
};

/** It says no more than that, or nothing of TLS at all. */
export const HANDSHAKE_ENDED =
  'the other side ended the connection during the TLS handshake: it does not accept this side, or does not speak TLS';

/** @param error of a handshake. */
export function explainHandshake(error: Error & { code?: unknown }): string {
  const { code, message } = error;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const [, names = message] = /altnames: (.*)$/s.exec(message) ?? [];
    return `the other side's certificate is not for this host: ${names} (tls-hostname says what it must name)`;
  }
  if (code === 'ECONNRESET') return HANDSHAKE_ENDED;
  return explainCode(typeof code === 'string' ? code : undefined, message);
}

/** @param code of OpenSSL or Node, or undefined; then the message has to do. */
export function explainCode(code: string | undefined, message: string): string {
  const reason = code !== undefined && Object.hasOwn(reasons, code) ? reasons[code] : undefined;
  if (reason !== undefined) return reason;
  // OpenSSL's own line names a file of its sources, which helps nobody.
  return code ?? message.trim();
}

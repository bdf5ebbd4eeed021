import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { MigrationError } from '../errors.ts';
import { canonicalJson } from './canonical-json.ts';
import type { Receipt } from './receipt.ts';

/** A receipt as it is handed out. */
export interface SignedReceipt {
  readonly receipt: Receipt;
  readonly signature?: ReceiptSignature;
}

export interface ReceiptSignature {
  readonly algorithm: 'ed25519';
  /** SHA-256 of the public key (SubjectPublicKeyInfo, DER), hex: which key it is, not that it may be trusted. */
  readonly key: string;
  /** Over the receipt as canonical JSON (RFC 8785) in UTF-8; base64. */
  readonly value: string;
}

/** @param key private. @throws {MigrationError} `ERR_ARGUMENT`: not an ed25519 key. */
export function signReceipt(receipt: Receipt, key: KeyObject): SignedReceipt {
  checkKey(key, 'private');
  const value = sign(null, bytesOf(receipt), key).toString('base64');
  return { receipt, signature: { algorithm: 'ed25519', key: fingerprint(key), value } };
}

/**
 * @param document what somebody says is a signed receipt; not trusted.
 * @param key public, of whom the receipt is said to be from.
 * @returns why it is not a receipt that this key has signed, or nothing.
 */
export function reasonToDoubt(document: unknown, key: KeyObject): string | undefined {
  checkKey(key, 'public');
  if (!isObject(document) || !isObject(document['receipt'])) return 'it is no receipt';
  const { receipt, signature } = document;
  if (!isObject(signature)) return 'it is not signed';
  const { algorithm, value } = signature;
  if (algorithm !== 'ed25519' || typeof value !== 'string') return 'its signature is not ed25519';
  if (signature['key'] !== fingerprint(key)) return 'another key has signed it';
  const isGood = verify(null, bytesOf(receipt), key, Buffer.from(value, 'base64'));
  return isGood ? undefined : 'it is not what was signed';
}

/** @throws {MigrationError} `ERR_ARGUMENT`. */
export function checkKey(key: KeyObject, type: 'private' | 'public'): void {
  if (key.asymmetricKeyType === 'ed25519' && key.type === type) return;
  throw new MigrationError('ERR_ARGUMENT', `receipts take a ${type} key of ed25519`);
}

function fingerprint(key: KeyObject): string {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  const der = publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(der).digest('hex');
}

function bytesOf(receipt: unknown): Buffer {
  return Buffer.from(canonicalJson(receipt));
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

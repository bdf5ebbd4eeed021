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

/** Of objects and arrays in each other: deeper than any receipt, and nothing to run out of stack for. */
const DEPTH_MAX = 32;

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
  const { receipt, signature, ...unsigned } = document;
  if (!isWithin(receipt, DEPTH_MAX)) return 'it is no receipt';
  if (!isObject(signature)) return 'it is not signed';
  const { algorithm, value, key: signer, ...more } = signature;
  if (algorithm !== 'ed25519' || typeof value !== 'string') return 'its signature is not ed25519';
  if (signer !== fingerprint(key)) return 'another key has signed it';
  const [name] = Object.keys({ ...unsigned, ...more });
  if (name !== undefined) return `'${name}' is beside what was signed`;
  const bytes = Buffer.from(value, 'base64');
  if (bytes.toString('base64') !== value) return 'its signature is not base64';
  return verify(null, bytesOf(receipt), key, bytes) ? undefined : 'it is not what was signed';
}

function isWithin(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return depth > 0 && Object.values(value).every((member) => isWithin(member, depth - 1));
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

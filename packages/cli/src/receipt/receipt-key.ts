import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { checkKey } from '@godwit/core';

import { messageOf, UsageError } from '../errors.ts';

/**
 * @param path of a PEM file.
 * @throws {UsageError} it cannot be read, or holds no such key of ed25519.
 */
export function readKey(path: string, type: 'private' | 'public'): KeyObject {
  try {
    const pem = readFileSync(path);
    const key = type === 'private' ? createPrivateKey(pem) : createPublicKey(pem);
    checkKey(key, type);
    return key;
  } catch (error) {
    throw new UsageError(`'${path}' has no ${type} key of ed25519: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

import type { KeyObject } from 'node:crypto';

import { type Receipt, type SignedReceipt, signReceipt } from '@godwit/core';

import type { ArgumentSpec } from '../arguments.ts';

import { migrationInfoSpec } from './migration-info.ts';
import { refuse } from './refusals.ts';

const str = { type: 'str' } as const;
const optionalStr = { type: 'str', optional: true } as const;

/** What `x-query-migration-receipt` answers: the engine's `SignedReceipt`. */
export const signedReceiptSpec = {
  type: 'object',
  members: {
    receipt: {
      type: 'object',
      members: {
        version: { type: 'int' },
        side: { type: 'str', values: ['source', 'destination'] },
        migration: optionalStr,
        uuid: optionalStr,
        addresses: { type: 'list', of: str },
        capabilities: { type: 'list', of: str },
        parameters: { type: 'object' },
        began: str,
        ended: str,
        phases: { type: 'list', of: { type: 'object', members: { status: str, at: str } } },
        'lost-links': { type: 'list', of: { type: 'object', members: { at: str, reason: str } } },
        outcome: { type: 'str', values: ['completed', 'failed', 'cancelled'] },
        owner: { type: 'str', values: ['source', 'destination'] },
        error: { type: 'object', members: { code: str, message: str }, optional: true },
        digest: optionalStr,
        'ram-digests': {
          type: 'list',
          of: { type: 'object', members: { block: str, digest: str } },
          optional: true,
        },
        migrate: migrationInfoSpec,
      },
    },
    signature: {
      type: 'object',
      members: { algorithm: { type: 'str', values: ['ed25519'] }, key: str, value: str },
      optional: true,
    },
  },
} as const satisfies ArgumentSpec;

/** @throws {QmpError} there is none. */
export function handOut(receipt: Receipt | undefined, key: KeyObject | undefined): SignedReceipt {
  if (receipt === undefined) throw refuse('there is no migration here that has ended');
  return key === undefined ? { receipt } : signReceipt(receipt, key);
}

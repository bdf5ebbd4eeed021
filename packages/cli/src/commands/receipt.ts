import { readFileSync } from 'node:fs';

import { reasonToDoubt, repeatsName, type SignedReceipt } from '@godwit/core';
import type { Command } from 'commander';

import { messageOf, UsageError } from '../errors.ts';
import { readKey } from '../receipt/receipt-key.ts';
import { teach } from '../teach.ts';

interface VerifyOptions {
  readonly key: string;
  readonly json?: true;
}

const AFTER = `With --json: {"verified": true, "receipt": …}, or {"verified": false, "why"} and exit code 1.`;

/** `godwit receipt verify`: is this what a process said of a migration? */
export function registerReceipt(program: Command): void {
  const command = program.command('receipt').description('look at receipts of migrations');
  const example = 'godwit receipt verify b.json --key b.pub.pem';
  teach(command, [['was this receipt signed by who runs B?', example]]);
  const verify = command
    .command('verify')
    .description('check the signature of a receipt')
    .argument('<file>', 'the receipt, as `godwit guest --receipt` writes it')
    .requiredOption('--key <file>', 'public key of who has signed it, PEM')
    .option('--json', 'for programs')
    .action(verifyReceipt);
  teach(
    verify,
    [
      ['was it signed by who runs B?', example],
      ['and what does it say?', `${example} --json | jq .receipt.outcome`],
    ],
    AFTER,
  );
}

function verifyReceipt(file: string, options: VerifyOptions): void {
  const { key } = options;
  const json = options.json === true;
  const publicKey = readKey(key, 'public');
  const { text, document } = readDocument(file);
  const twice = 'it says a name twice, and what it means depends on who reads it';
  const why = reasonToDoubt(document, publicKey) ?? (repeatsName(text) ? twice : undefined);
  if (why !== undefined) {
    if (json) console.log(JSON.stringify({ verified: false, why }));
    throw new Error(`${file}: ${why}`);
  }
  const { receipt } = document as SignedReceipt; // this key has signed it
  if (json) return console.log(JSON.stringify({ verified: true, receipt }));
  const { migration = 'no session', outcome, owner, ended } = receipt;
  console.log(`${file}: signed by this key`);
  console.log(`migration ${migration}: ${outcome} at ${ended}; the guest is the ${owner}'s`);
}

function readDocument(file: string): { text: string; document: unknown } {
  try {
    const text = readFileSync(file, 'utf8');
    return { text, document: JSON.parse(text) };
  } catch (error) {
    throw new UsageError(`cannot read '${file}': ${messageOf(error)}`, { cause: error });
  }
}

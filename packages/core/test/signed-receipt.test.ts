import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { parameterDefaults } from '../src/parameters.ts';
import { canonicalJson } from '../src/receipt/canonical-json.ts';
import { MigrationRecord } from '../src/receipt/migration-record.ts';
import type { Receipt } from '../src/receipt/receipt.ts';
import { repeatsName } from '../src/receipt/repeated-names.ts';
import { reasonToDoubt, signReceipt } from '../src/receipt/signed-receipt.ts';

const facts = {
  migrationId: Uint8Array.of(0xab, 1),
  uuid: undefined,
  capabilities: ['events'],
  error: undefined,
  digest: undefined,
  blocks: [],
  ramDigests: undefined,
  migrate: {},
};

function receiptOf(...statuses: readonly string[]): Receipt | undefined {
  const record = new MigrationRecord('source', () => parameterDefaults);
  record.address('unix:/tmp/b.mig');
  for (const status of statuses) record.entered(status, new Error('the link broke'));
  return record.receipt(facts);
}

const ours = generateKeyPairSync('ed25519');
const others = generateKeyPairSync('ed25519');

test('the example of RFC 8785, section 3.2.3, has its order', () => {
  const value = {
    '\u20ac': 'a',
    '\r': 'b',
    '\ufb33': 'c',
    '1': 'd',
    '\u{1f600}': 'e',
    '\u0080': 'f',
    ö: 'g',
  };
  expect(canonicalJson(value)).toBe(
    '{"\\r":"b","1":"d","\u0080":"f","ö":"g","\u20ac":"a","\u{1f600}":"e","\ufb33":"c"}',
  );
  expect(canonicalJson({ b: [1e21, 0.1, null, true], a: undefined })).toBe(
    '{"b":[1e+21,0.1,null,true]}',
  );
});

test('there is no receipt of a migration that has not ended', () => {
  expect(receiptOf()).toBeUndefined();
  expect(receiptOf('setup', 'active')).toBeUndefined();
});

test('each end says whose the guest is, and each lost link why', () => {
  expect(receiptOf('setup', 'completed')).toMatchObject({
    version: 1,
    side: 'source',
    migration: 'ab01',
    addresses: ['unix:/tmp/b.mig'],
    outcome: 'completed',
    owner: 'destination',
    'lost-links': [],
  });
  expect(receiptOf('setup', 'failed')).toMatchObject({ outcome: 'failed', owner: 'source' });
  expect(receiptOf('setup', 'cancelled')).toMatchObject({ outcome: 'cancelled', owner: 'source' });
  const recovered = receiptOf('setup', 'postcopy-active', 'postcopy-paused', 'completed');
  expect(recovered?.['lost-links']).toMatchObject([{ reason: 'the link broke' }]);
  expect(recovered?.phases.map(({ status }) => status)).toContain('postcopy-paused');
});

test('a signed receipt holds after any JSON tool, and not after a change', () => {
  const signed = signReceipt(receiptOf('setup', 'completed')!, ours.privateKey);
  const sent: typeof signed = JSON.parse(JSON.stringify(signed, null, 3)) as typeof signed;
  expect(reasonToDoubt(sent, ours.publicKey)).toBeUndefined();
  const { receipt, signature } = sent;
  const shuffled = Object.fromEntries(Object.entries(receipt).toReversed());
  expect(reasonToDoubt({ signature, receipt: shuffled }, ours.publicKey)).toBeUndefined();
  const changed = { signature, receipt: { ...receipt, owner: 'source' } };
  expect(reasonToDoubt(changed, ours.publicKey)).toMatch(/not what was signed/);
  expect(reasonToDoubt(sent, others.publicKey)).toMatch(/another key/);
  expect(reasonToDoubt({ receipt }, ours.publicKey)).toMatch(/not signed/);
  expect(reasonToDoubt([], ours.publicKey)).toMatch(/no receipt/);
  const forged = signReceipt(receipt, others.privateKey);
  const claimed = { ...forged.signature, key: signature?.key };
  expect(reasonToDoubt({ receipt, signature: claimed }, ours.publicKey)).toMatch(/not what was/);
});

test('nothing may be added that was not signed, nor the signature be written otherwise', () => {
  const { receipt, signature } = signReceipt(receiptOf('setup', 'completed')!, ours.privateKey);
  const { value } = signature!;
  const doubt = (document: unknown): string | undefined => reasonToDoubt(document, ours.publicKey);
  expect(doubt({ receipt, signature })).toBeUndefined();
  expect(doubt({ receipt, signature, outcome: 'failed' })).toMatch(/'outcome' is beside/);
  expect(doubt({ receipt, signature: { ...signature, by: 'A' } })).toMatch(/'by' is beside/);
  for (const other of [` ${value}`, `${value}!`, value.replace(/=*$/, '')]) {
    expect(doubt({ receipt, signature: { ...signature, value: other } })).toMatch(/not base64/);
  }
});

test('a document that is deeper than any receipt is none', () => {
  const { receipt, signature } = signReceipt(receiptOf('setup', 'completed')!, ours.privateKey);
  const deep: unknown = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`);
  const document = { receipt: { ...receipt, addresses: deep }, signature };
  expect(reasonToDoubt(document, ours.publicKey)).toMatch(/no receipt/);
});

test.each([
  ['{"a": 1, "b": [{"a": 2}, ":", "\\":"]}', false],
  ['{"a": 1, "a": 1}', true],
  ['{"a": {"b": [{"c": 1, "\\u0063": 2}]}}', true],
  ['{"__proto__": 1, "b": {}}', false],
])('%s says a name twice: %s', (text, isTwice) => {
  expect(repeatsName(text)).toBe(isTwice);
});

test('only keys of ed25519 sign', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const refused = expect.objectContaining({ code: 'ERR_ARGUMENT' });
  const receipt = receiptOf('setup', 'failed')!;
  expect(() => signReceipt(receipt, privateKey)).toThrow(refused);
  expect(() => signReceipt(receipt, ours.publicKey)).toThrow(refused);
});

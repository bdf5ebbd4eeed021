import { generateKeyPairSync } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { GodwitCommand } from '../support/godwit-command.ts';
import { expectOwner, withPair } from '../support/pair.ts';
import { CALM_RATE, crawling, endless, fast } from '../support/parameters.ts';

interface Receipt {
  readonly side: string;
  readonly migration: string;
  readonly addresses: readonly string[];
  readonly capabilities: readonly string[];
  readonly phases: readonly { readonly status: string }[];
  readonly 'lost-links': readonly unknown[];
  readonly outcome: string;
  readonly owner: string;
  readonly digest?: string;
  readonly migrate: Readonly<Record<string, unknown>>;
}

interface Signed {
  readonly receipt: Receipt;
}

const ASK = 'x-query-migration-receipt';

/** A directory for receipts, and a pair of keys in files. */
async function withKeys() {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-receipts-'));
  onTestFinished(async () => await rm(folder, { recursive: true }));
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const [key, pub, receipts] = ['key.pem', 'pub.pem', 'receipts'].map((name) => join(folder, name));
  await writeFile(key!, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  await writeFile(pub!, publicKey.export({ type: 'spki', format: 'pem' }));
  await mkdir(receipts!);
  return { key: key!, pub: pub!, receipts: receipts! };
}

test('each side writes a signed receipt, which a command verifies and a change does not survive', async () => {
  const { key, pub, receipts } = await withKeys();
  const extraArgs = ['--receipt', receipts, '--receipt-key', key];
  let id = '';
  await withPair({ extraArgs, parameters: fast }, async (pair) => {
    await pair.source.setCapabilities({ 'x-checksum': true });
    await expect(pair.source.execute(ASK)).rejects.toThrow(/no migration here that has ended/);
    await pair.migrate();
    await pair.waitForBoth('completed');
    const { receipt: ours } = await pair.source.execute<Signed>(ASK);
    const { receipt: theirs } = await pair.destination.execute<Signed>(ASK);
    expect(ours).toMatchObject({ side: 'source', outcome: 'completed', owner: 'destination' });
    expect(theirs).toMatchObject({
      side: 'destination',
      outcome: 'completed',
      owner: 'destination',
    });
    id = ours.migration;
    expect(theirs.migration).toBe(id);
    expect(theirs.digest).toBe(ours.digest);
    expect(ours.digest).toMatch(/^[\da-f]{64}$/);
    expect([ours.addresses, theirs.addresses]).toEqual([[pair.uri], [pair.uri]]);
    expect(theirs.capabilities).toContain('x-checksum');
    expect(ours.phases.map(({ status }) => status)).toEqual(pair.source.statuses);
    expect(ours.migrate).toHaveProperty('x-downtime-parts');
    expect(theirs.migrate).toHaveProperty('x-faults');
    await expectOwner(pair, pair.destination);
  });
  const names = await readdir(receipts);
  expect(names.toSorted()).toEqual([`${id}-destination.json`, `${id}-source.json`]);
  for (const name of names) {
    const file = join(receipts, name);
    const good = await GodwitCommand.run('receipt', 'verify', file, '--key', pub);
    expect(good).toMatchObject({ code: 0, stderr: '' });
    expect(good.stdout).toContain(`migration ${id}: completed`);
    const text = await readFile(file, 'utf8');
    const signed = '"owner": "destination"';
    const both = `"owner": "source", ${signed}`;
    for (const [changed, why] of [
      ['"owner": "source"', 'it is not what was signed'],
      [both, 'it says a name twice, and what it means depends on who reads it'],
    ] as const) {
      await writeFile(file, text.replace(signed, changed));
      const bad = await GodwitCommand.run('receipt', 'verify', file, '--key', pub, '--json');
      expect(bad.code).toBe(1);
      expect(JSON.parse(bad.stdout)).toEqual({ verified: false, why });
    }
  }
});

describe('a receipt tells', () => {
  test('of every lost link, and what the faults took', async () => {
    const options = { postcopy: true, workload: 'random', rate: CALM_RATE } as const;
    await withPair({ ...options, parameters: crawling }, async (pair) => {
      await pair.untilPostcopyActive();
      await pair.source.executeOob('migrate-pause');
      await pair.waitForBoth('postcopy-paused');
      await pair.resume();
      await pair.untilCompleted();
      const { receipt: ours } = await pair.source.execute<Signed>(ASK);
      const { receipt: theirs } = await pair.destination.execute<Signed>(ASK);
      expect(ours['lost-links']).toHaveLength(1);
      expect(theirs['lost-links']).toHaveLength(1);
      expect(ours.addresses).toEqual([pair.uri, pair.uri]);
      const { faults } = theirs.migrate['x-faults'] as { faults: number };
      expect(faults).toBeGreaterThan(0);
      expect(theirs.digest).toBe(ours.digest);
      await expectOwner(pair, pair.destination);
    });
  });

  test('of a destination that ends with its migration', async () => {
    const { receipts } = await withKeys();
    const options = { destination: { extraArgs: ['--receipt', receipts] }, parameters: endless };
    await withPair(options, async (pair) => {
      await pair.migrate();
      await pair.source.waitForPass(2);
      await pair.source.execute('migrate_cancel');
      await pair.source.waitForStatus('cancelled');
      await pair.expectFailed(pair.destination);
      const { receipt: ours } = await pair.source.execute<Signed>(ASK);
      const [name = ''] = await readdir(receipts);
      expect(name).toBe(`${ours.migration}-destination.json`);
      const { receipt } = JSON.parse(await readFile(join(receipts, name), 'utf8')) as Signed;
      expect(receipt).toMatchObject({ outcome: 'failed', owner: 'source' });
      expect(receipt.digest).toBeUndefined();
      expect(ours).toMatchObject({ outcome: 'cancelled', owner: 'source' });
      await expectOwner(pair, pair.source);
    });
  });
});

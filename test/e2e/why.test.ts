import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import type { GuestProcess } from '../support/guest-process.ts';
import { type Pair, withPair } from '../support/pair.ts';
import { converging, crawling, endless } from '../support/parameters.ts';
import { SlowRelay } from '../support/slow-relay.ts';

const GODWIT = fileURLToPath(new URL('../../packages/cli/bin/godwit.js', import.meta.url));

interface Verdict {
  readonly limit: string;
  readonly findings: readonly { limit: string; evidence: readonly string[]; advice?: string }[];
}

/** What `godwit why` says of a migration that goes on. */
async function why(...sides: readonly GuestProcess[]): Promise<Verdict> {
  const qmp = sides.flatMap((side) => ['--qmp', side.qmpAddress]);
  const args = [GODWIT, 'why', ...qmp, '--for', '700ms', '--json'];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 30_000 });
  return JSON.parse(stdout) as Verdict;
}

function limitsOf({ findings }: Verdict): string[] {
  return findings.map(({ limit }) => limit);
}

async function openRelay(pair: Pair, bytesPerSecond: number): Promise<SlowRelay> {
  const { transport, uri: target } = pair;
  return await SlowRelay.open({
    transport,
    directory: pair.directory.path,
    target,
    bytesPerSecond,
  });
}

const calm = { workload: 'idle', memory: '64M' } as const;

test('a bandwidth limit is named, with the rate that keeps to it', async () => {
  await withPair({ ...calm, parameters: { 'max-bandwidth': 5_000_000 } }, async (pair) => {
    await pair.migrate();
    await pair.source.waitForStatus('active');
    const verdict = await why(pair.source, pair.destination);
    expect(verdict.limit).toBe('bandwidth-cap');
    expect(verdict.findings[0]?.evidence[0]).toMatch(/^[45]\.\d+ MB\/s of at most 5\.00 MB\/s$/);
    await pair.source.setParameters(converging);
    await pair.waitForBoth('completed');
    expect((await why(pair.source)).limit).toBe('not-running');
  });
});

test('a guest that writes as fast as is sent is named before the limit that makes it so', async () => {
  await withPair({ workload: 'random', parameters: endless }, async (pair) => {
    await pair.migrate();
    await pair.source.waitForPass(3);
    const verdict = await why(pair.source);
    expect(limitsOf(verdict).slice(0, 2)).toEqual(['dirty-rate', 'bandwidth-cap']);
    expect(verdict.findings[0]?.advice).toContain('migrate-start-postcopy');
    await pair.source.setParameters(converging);
    await pair.waitForBoth('completed');
  });
});

test('a slow link is named, and one that stands still', async () => {
  await withPair({ ...calm, parameters: { 'max-bandwidth': 0 } }, async (pair) => {
    await using relay = await openRelay(pair, 4_000_000);
    await pair.migrate(relay.uri);
    await pair.source.waitForStatus('active');
    const alone = await why(pair.source);
    expect(alone.limit).toBe('link');
    expect(alone.findings[0]?.evidence.join()).toContain('a second --qmp tells them apart');
    const both = await why(pair.source, pair.destination);
    expect(both.limit).toBe('link');
    expect(both.findings[0]?.evidence.join()).toMatch(/the receiver computes \d+ %/);

    relay.bytesPerSecond = 0;
    await why(pair.source); // until what is under way has filled the socket
    const stalled = await why(pair.source, pair.destination);
    expect(stalled.limit).toBe('link');
    expect(stalled.findings[0]?.evidence[0]).toBe('nothing has left for as long as we looked');
    relay.bytesPerSecond = Infinity;
    await pair.waitForBoth('completed');
  });
});

test('processors are named where nothing else holds it up', async () => {
  const busy = { workload: 'random', memory: '256M', rate: 0, vcpus: 2 } as const;
  const parameters = { 'max-bandwidth': 0, 'downtime-limit': 0 };
  await withPair({ ...busy, parameters }, async (pair) => {
    await pair.migrate();
    await pair.source.waitForPass(2);
    const limits = limitsOf(await why(pair.source, pair.destination));
    expect(limits.some((limit) => limit === 'cpu' || limit === 'destination-cpu')).toBe(true);
    expect(limits).not.toContain('bandwidth-cap');
    expect(limits).not.toContain('link');
    await pair.source.setParameters(converging);
    await pair.waitForBoth('completed');
  });
});

test('faults are named while the bulk crawls, and a lost link once it is lost', async () => {
  const guest = { workload: 'random', memory: '64M', rate: 2000 } as const;
  await withPair({ ...guest, postcopy: true, parameters: crawling }, async (pair) => {
    const link = await pair.openLink();
    await pair.untilPostcopyActive(link.uri);
    const verdict = await why(pair.source, pair.destination);
    expect(limitsOf(verdict)).toContain('faults');
    const faults = verdict.findings.find(({ limit }) => limit === 'faults');
    expect(faults?.evidence[0]).toMatch(/^[1-9]\d* faults\/s; a page takes/);

    link.cut('rst');
    await pair.waitForBoth('postcopy-paused');
    const paused = await why(pair.source, pair.destination);
    expect(paused.limit).toBe('paused');
    expect(paused.findings[0]?.advice).toBe(`godwit recover --qmp ${pair.source.qmpAddress} URI`);
    await pair.resume();
    await pair.source.waitForStatus('postcopy-active');
    await pair.untilCompleted();
  });
});

import { expect, test } from 'vitest';
import { expectOwner, type Pair, withPair } from '../support/pair.ts';

interface Info {
  readonly 'cpu-throttle-percentage'?: number;
  readonly 'downtime-limit'?: number;
  readonly ram: { readonly 'dirty-sync-count': number };
}

const INITIAL = 5;
const INCREMENT = 25;
const MAX = 95;

const throttle = {
  'cpu-throttle-initial': INITIAL,
  'cpu-throttle-increment': INCREMENT,
  'max-cpu-throttle': MAX,
};
/** Two passes a second, in each of which the guest writes nearly all of its memory. */
const writing = {
  workload: 'random',
  memory: '4M',
  rate: 20_000,
  parameters: { ...throttle, 'max-bandwidth': 8_000_000, 'downtime-limit': 0 },
} as const;

async function query(pair: Pair): Promise<Info> {
  return await pair.source.execute<Info>('query-migrate');
}

async function throttleOf(pair: Pair): Promise<number> {
  return (await query(pair))['cpu-throttle-percentage'] ?? 0;
}

/** Looked at after each pass, since a throttle changes with one. @returns the pass. */
async function untilThrottled(pair: Pair, percentage: number): Promise<number> {
  for (let pass = 1; ; pass += 1) {
    await pair.source.waitForPass(pass, 30_000);
    if ((await throttleOf(pair)) >= percentage) return pass;
  }
}

test('/migration/auto_converge', async () => {
  await withPair(writing, async (pair) => {
    const { source } = pair;
    await source.setCapabilities({ 'auto-converge': true, 'pause-before-switchover': true });
    await pair.migrate();
    await source.waitForStatus('active');
    expect(await throttleOf(pair)).toBe(0); // and not said
    const pass = await untilThrottled(pair, INITIAL);
    expect([INITIAL, INITIAL + INCREMENT]).toContain(await throttleOf(pair));

    // A pass takes half a minute now: the next sync is that of the five-second timer.
    await source.setParameters({ 'max-bandwidth': 150_000 });
    await source.waitForPass(pass + 2, 20_000);
    expect(source.statuses).toEqual(['setup', 'active']);
    expect(source.events.entries.map(({ name }) => name)).not.toContain('STOP');

    await source.setParameters({ 'max-bandwidth': 0, 'downtime-limit': 30_000 });
    await source.waitForStatus('pre-switchover');
    expect(await throttleOf(pair)).toBeGreaterThanOrEqual(INITIAL);
    expect(await throttleOf(pair)).toBeLessThanOrEqual(MAX);
    await source.execute('migrate-continue', { state: 'pre-switchover' });
    await pair.waitForBoth('completed');
    expect(await throttleOf(pair)).toBe(0);
    await expectOwner(pair, pair.destination);
  });
}, 120_000);

test('a guest that writes more than can be sent converges by its throttle alone', async () => {
  // 8 MB/s can be sent. Unthrottled the guest writes 80 MB/s into 16 MiB, at 95 % 4 MB/s.
  const { parameters } = writing;
  const patient = {
    ...writing,
    memory: '16M',
    parameters: { ...parameters, 'cpu-throttle-initial': 70, 'downtime-limit': 700 },
  };
  await withPair(patient, async (pair) => {
    await pair.source.setCapabilities({ 'auto-converge': true });
    await pair.migrate();
    await untilThrottled(pair, 95);
    await pair.source.waitForStatus('completed', 60_000);
    await pair.destination.waitForStatus('completed');
    await expectOwner(pair, pair.destination);
  });
}, 120_000);

test('a cancel lets the throttled guest go: it writes as fast as before', async () => {
  const strong = { ...writing.parameters, 'cpu-throttle-initial': 95 };
  await withPair({ ...writing, parameters: strong }, async (pair) => {
    const { source } = pair;
    await source.setCapabilities({ 'auto-converge': true });
    await pair.migrate();
    await untilThrottled(pair, 95);
    await source.execute('migrate_cancel');
    await source.waitForStatus('cancelled');
    await pair.expectFailed(pair.destination);
    expect(await throttleOf(pair)).toBe(0);
    // The rate of the guest is a promise of its own: 20 000 pages a second, 1000 of them at 95 %.
    const another = await pair.startDestination('another');
    await source.setCapabilities({ 'auto-converge': false });
    await pair.migrate();
    await source.waitForPass(2);
    await source.waitForPass(3);
    const { ram } = await source.execute<{ ram: { 'dirty-pages-rate': number } }>('query-migrate');
    expect(ram['dirty-pages-rate']).toBeGreaterThan(1100); // 700 to 1000 of 1024 pages, in 0.5 s
    await source.setParameters({ 'max-bandwidth': 0, 'downtime-limit': 10_000 });
    await pair.waitForBoth('completed');
    await expectOwner(pair, another);
  });
}, 120_000);

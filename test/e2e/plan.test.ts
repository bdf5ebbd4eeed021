import { expect, test } from 'vitest';
import { GodwitCommand } from '../support/godwit-command.ts';
import { expectOwner, type Pair, type PairOptions, withPair } from '../support/pair.ts';
import { SlowRelay } from '../support/slow-relay.ts';

interface Figures {
  readonly passes: number;
  readonly bytes: number;
  readonly totalMillis: number;
  readonly downtimeMillis: number;
}

interface Answer {
  readonly input: {
    readonly bandwidth: number;
    readonly placedBandwidth: number;
    readonly linkFrom: string;
  };
  readonly plan: {
    readonly use: 'precopy' | 'postcopy';
    readonly precopy: Figures & { readonly converges: boolean };
    readonly postcopy: Figures;
  };
  readonly mode?: 'precopy' | 'postcopy';
  readonly outcome?: Figures;
}

/** What a prediction may be off by, of a machine that others use as well. */
const BYTES_FACTOR = 1.5;
const TIME_FACTOR = 2;
/** Pages that the guest asks for are exempt from the limit: how fast it asks is a guess. */
const POSTCOPY_TIME_FACTOR = 2.5;
/** Nothing limits it but the processors, which others have too, and not the same share from second to second. */
const UNLIMITED_TIME_FACTOR = 4;
/** A downtime is a few milliseconds, of a machine that has them: a busy one makes the vCPUs wait. */
const DOWNTIME_SLACK_MILLIS = 250;

function expectWithin(predicted: number, outcome: number, factor: number): void {
  expect(outcome).toBeLessThanOrEqual(predicted * factor);
  expect(outcome).toBeGreaterThanOrEqual(predicted / factor);
}

async function planAndMigrate(options: PairOptions, use: 'precopy' | 'postcopy'): Promise<Answer> {
  let answer: Answer | undefined;
  await withPair(options, async (pair) => {
    const qmp = `unix:${pair.directory.file('source.qmp')}`;
    const how = ['--to', pair.uri, '--then-migrate', '--json'];
    const { code, stdout, stderr } = await GodwitCommand.run('plan', '--qmp', qmp, ...how);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    answer = JSON.parse(stdout) as Answer;
    await pair.waitForBoth('completed');
    await expectOwner(pair, pair.destination);
    const again = await GodwitCommand.run('plan', '--qmp', qmp);
    expect(again).toMatchObject({ code: 1, stdout: '' });
    expect(again.stderr).toContain('its guest has left');
  });
  expect(answer?.plan.use).toBe(use);
  return answer as Answer;
}

const limits = { 'max-bandwidth': 64 * 1024 ** 2, 'max-postcopy-bandwidth': 64 * 1024 ** 2 };
const guest = { memory: '96M', parameters: limits } as const;

test.each([
  ['an idle guest', { ...guest, workload: 'idle' }],
  ['a slowly writing guest', { ...guest, workload: 'random', rate: 2_000 }],
] as const)('%s is for precopy, and the outcome is near the prediction', async (_name, options) => {
  const { plan, outcome } = await planAndMigrate(options, 'precopy');
  expectWithin(plan.precopy.bytes, outcome?.bytes ?? 0, BYTES_FACTOR);
  expectWithin(plan.precopy.totalMillis, outcome?.totalMillis ?? 0, TIME_FACTOR);
  const limit = plan.precopy.downtimeMillis * TIME_FACTOR + DOWNTIME_SLACK_MILLIS;
  expect(outcome?.downtimeMillis).toBeLessThanOrEqual(limit);
  expect(Math.abs(plan.precopy.passes - (outcome?.passes ?? 0))).toBeLessThanOrEqual(2);
});

test('a fast writing guest is for postcopy, and the outcome is near the prediction', async () => {
  const options = { ...guest, workload: 'sweep', rate: 200_000, postcopy: true } as const;
  const { plan, mode, outcome } = await planAndMigrate(options, 'postcopy');
  expect({ mode, converges: plan.precopy.converges }).toEqual({
    mode: 'postcopy',
    converges: false,
  });
  expectWithin(plan.postcopy.bytes, outcome?.bytes ?? 0, BYTES_FACTOR);
  expectWithin(plan.postcopy.totalMillis, outcome?.totalMillis ?? 0, POSTCOPY_TIME_FACTOR);
  const limit = plan.postcopy.downtimeMillis * TIME_FACTOR + DOWNTIME_SLACK_MILLIS;
  expect(outcome?.downtimeMillis).toBeLessThanOrEqual(limit);
});

/** Over this relay, or the plain link; by plan alone, with nothing said about the link. */
async function planOver(pair: Pair, uri: string, ...more: readonly string[]): Promise<Answer> {
  const qmp = `unix:${pair.directory.file('source.qmp')}`;
  const how = ['--to', uri, '--then-migrate', '--json', ...more];
  const { code, stdout, stderr } = await GodwitCommand.run('plan', '--qmp', qmp, ...how);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  await pair.waitForBoth('completed');
  await expectOwner(pair, pair.destination);
  return JSON.parse(stdout) as Answer;
}

const unlimited = {
  memory: '192M',
  workload: 'idle',
  parameters: { 'max-bandwidth': 0, 'max-postcopy-bandwidth': 0 },
} as const;
const SLOW_BYTES_PER_SECOND = 20e6;

test.each(['precopy', 'postcopy'] as const)(
  'a slow link is measured as what it is, and %s over it is near the prediction',
  async (mode) => {
    await withPair({ ...unlimited, memory: '96M', postcopy: true }, async (pair) => {
      const { directory, uri: target } = pair;
      const slow = { target, transport: 'unix', bytesPerSecond: SLOW_BYTES_PER_SECOND } as const;
      await using relay = await SlowRelay.open({ ...slow, directory: directory.path });
      const { input, plan, outcome } = await planOver(pair, relay.uri, '--mode', mode);
      expect(input.linkFrom).toBe('measured');
      expectWithin(input.bandwidth, SLOW_BYTES_PER_SECOND, BYTES_FACTOR);
      expectWithin(plan[mode].bytes, outcome?.bytes ?? 0, BYTES_FACTOR);
      expectWithin(plan[mode].totalMillis, outcome?.totalMillis ?? 0, TIME_FACTOR);
    });
  },
);

test('a fast link is measured, and a migration that nothing limits is not faster by far than was predicted', async () => {
  await withPair({ ...unlimited, transport: 'tcp' }, async (pair) => {
    const { input, plan, outcome } = await planOver(pair, pair.uri);
    expect(input.linkFrom).toBe('measured');
    // Slower than any machine that this runs on, faster than any mistake of units.
    expect(input.bandwidth).toBeGreaterThan(50e6);
    expect(input.bandwidth).toBeLessThan(50e9);
    // What keeps the processors busy beside it makes it slower by any factor.
    const least = plan.precopy.totalMillis / UNLIMITED_TIME_FACTOR;
    expect(outcome?.totalMillis ?? 0).toBeGreaterThanOrEqual(least);
  });
});

test('what is set for the one migration is put back after it', async () => {
  await withPair({ workload: 'idle', parameters: limits }, async (pair) => {
    const settings = async () => [
      await pair.source.execute('query-migrate-parameters'),
      await pair.source.execute('query-migrate-capabilities'),
    ];
    const before = await settings();
    const limited = ['--bandwidth', '80M', '--downtime-limit', '777ms', '--mode', 'postcopy'];
    await planOver(pair, pair.uri, ...limited);
    expect(await settings()).toEqual(before);
  });
});

test('a plan leaves source and destination as they were: a source still gets in', async () => {
  await withPair({ workload: 'random', rate: 2_000 }, async (pair) => {
    const qmp = `unix:${pair.directory.file('source.qmp')}`;
    const before = [await pair.source.resources(), await pair.destination.resources()] as const;
    const plans = Array.from({ length: 3 }, async (_, index) => {
      const { code, stderr } = await GodwitCommand.run('plan', '--qmp', qmp, '--to', pair.uri);
      return { index, code, stderr };
    });
    // One of them measures, the others are told that it does; each knocks at the destination or not.
    const codes = (await Promise.all(plans)).map(({ code }) => code);
    expect(codes).toContain(0);
    expect(await pair.destination.execute('query-migrate')).toMatchObject({ status: 'setup' });
    await pair.source.returnsTo(before[0]);
    await pair.destination.returnsTo(before[1]);
    await pair.migrate();
    await pair.waitForBoth('completed');
    await expectOwner(pair, pair.destination);
  });
});

test('without a link to be had the command says what is missing', async () => {
  const none = ['--to', 'unix:/nowhere/at/all', '--sample', '50ms'];
  await withPair({ workload: 'idle' }, async (pair) => {
    const qmp = `unix:${pair.directory.file('source.qmp')}`;
    const failed = await GodwitCommand.run('plan', '--qmp', qmp, ...none);
    expect(failed).toMatchObject({ code: 1, stdout: '' });
    expect(failed.stderr).toContain('unix:/nowhere/at/all: cannot connect');
    const wrong = await GodwitCommand.run('plan', '--qmp', qmp, '--then-migrate');
    expect(wrong).toMatchObject({ code: 2, stdout: '' });
  });
});

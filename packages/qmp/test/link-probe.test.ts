import { expect, onTestFinished, test } from 'vitest';

import { MachineFixture } from './machine-fixture.ts';

interface Sample {
  readonly bytes: number;
  readonly milliseconds: number;
  readonly bandwidth: number;
  readonly 'round-trip-microseconds': number;
}

async function open(options?: Parameters<typeof MachineFixture.open>[0]): Promise<MachineFixture> {
  const it = await MachineFixture.open(options);
  onTestFinished(() => it[Symbol.asyncDispose]());
  return it;
}

async function pair(): Promise<{ source: MachineFixture; destination: MachineFixture }> {
  const destination = await open({ incoming: true });
  await destination.listen();
  return { source: await open(), destination };
}

test('the link to a destination that waits is measured, and a migration goes over it afterwards', async () => {
  const { source, destination } = await pair();
  const { uri } = destination;
  const sample = (await source.execute('x-probe-link', { uri, milliseconds: 50 })) as Sample;
  expect(sample.bandwidth).toBeGreaterThan(1e6);
  expect(sample.bytes).toBeGreaterThan(sample.bandwidth * 0.02);
  expect(sample['round-trip-microseconds']).toBeGreaterThan(0);
  expect(destination.events).toEqual(['MIGRATION setup']);
  await source.execute('migrate', { uri });
  await source.reaches('completed');
  expect(await source.refusal('x-probe-link', { uri })).toContain('cannot connect');
});

test('the round trip alone costs no bytes', async () => {
  const { source, destination } = await pair();
  const { uri } = destination;
  const sample = await source.execute('x-probe-link', { uri, milliseconds: 0 });
  expect(sample).toMatchObject({ bytes: 0, milliseconds: 0, bandwidth: 0 });
});

test('migrate ends a probe under way, and is not refused', async () => {
  const { source, destination } = await pair();
  const { uri } = destination;
  const probe = source.machine.linkProbe.measure({ type: 'unix', path: uri.slice(5) }, 2_000);
  const refused = source.refusal('x-probe-link', { uri });
  probe.catch(() => undefined); // looked at below
  expect(await refused).toBe('the link is already being probed');
  await source.execute('migrate', { uri });
  await expect(probe).rejects.toMatchObject({ code: 'ERR_ABORTED' });
  await source.reaches('completed');
});

test('a probe is refused while a migration runs', async () => {
  const { source, destination } = await pair();
  const capabilities = [{ capability: 'pause-before-switchover', state: true }];
  await source.execute('migrate-set-capabilities', { capabilities });
  await source.execute('migrate', { uri: destination.uri });
  await source.reaches('pre-switchover');
  const reason = "There's a migration process in progress";
  expect(await source.refusal('x-probe-link', { uri: destination.uri })).toBe(reason);
  await source.execute('migrate-continue', { state: 'pre-switchover' });
  await source.reaches('completed');
});

test.each([-1, 2001])('%i milliseconds are refused', async (milliseconds) => {
  const it = await open();
  const refusal = await it.refusal('x-probe-link', { uri: it.uri, milliseconds });
  expect(refusal).toContain("'milliseconds' expects 0 to 2000");
});

import { expect, onTestFinished, test } from 'vitest';

import { MachineFixture } from './machine-fixture.ts';

const IN_PROGRESS = "There's a migration process in progress";
const unstarted = {
  status: 'unstarted',
  'start-time': 0,
  'calc-time': 0,
  'calc-time-unit': 'second',
  'sample-pages': 0,
  mode: 'page-sampling',
};

interface Info {
  readonly status: string;
  readonly 'dirty-rate'?: number;
  readonly 'x-pages'?: {
    readonly total: number;
    readonly present: number;
    readonly zero: number;
    readonly 'dirty-curve': readonly { readonly pages: number }[];
  };
}

async function open(options?: Parameters<typeof MachineFixture.open>[0]): Promise<MachineFixture> {
  const it = await MachineFixture.open(options);
  onTestFinished(() => it[Symbol.asyncDispose]());
  return it;
}

async function measured(it: MachineFixture): Promise<Info> {
  for (const limit = performance.now() + 10_000; performance.now() < limit;) {
    const info = (await it.execute('query-dirty-rate')) as Info;
    if (info.status === 'measured') return info;
  }
  throw new Error('not measured within 10 s');
}

const quick = { 'calc-time': 50, 'calc-time-unit': 'millisecond' };
const long = { 'calc-time': 60, mode: 'dirty-bitmap' };

test('before anything is measured the answer says so', async () => {
  const it = await open();
  expect(await it.execute('query-dirty-rate')).toEqual(unstarted);
});

test('a client that gives a time only gets page sampling, as from QEMU', async () => {
  const it = await open({ pages: 1024 });
  expect(await it.execute('calc-dirty-rate', quick)).toEqual({});
  const info = await measured(it);
  expect(info).toMatchObject({ mode: 'page-sampling', 'sample-pages': 512, 'dirty-rate': 0 });
});

test('both modes find what is written meanwhile', async () => {
  const it = await open({ pages: 4096 }); // 16 MiB
  for (const mode of ['page-sampling', 'dirty-bitmap']) {
    await it.execute('calc-dirty-rate', { ...quick, 'calc-time': 400, mode });
    it.guest.fill(mode);
    const info = await measured(it);
    const last = info['x-pages']?.['dirty-curve'].at(-1);
    expect({ mode, pages: last?.pages }).toEqual({ mode, pages: 4096 });
    expect(info['dirty-rate']).toBeGreaterThan(20); // 16 MiB in 0.4 s, or a little more
    expect(info['dirty-rate']).toBeLessThanOrEqual(40);
  }
});

test('the bitmap tells which pages exist, and how many of them are zero', async () => {
  const it = await open({ pages: 64 });
  it.guest.fill('guest');
  await it.execute('calc-dirty-rate', { ...quick, mode: 'dirty-bitmap' });
  const { 'x-pages': pages } = await measured(it);
  expect(pages).toMatchObject({ total: 64, present: 64, zero: 0 });
  expect(pages?.['dirty-curve'].map((look) => look.pages)).toEqual([0, 0, 0, 0, 0, 0]);
});

test('what is not possible is refused in the words of QEMU', async () => {
  const it = await open();
  const refusal = (args: object) => it.refusal('calc-dirty-rate', { 'calc-time': 1, ...args });
  const range = 'Calculation time is out of range [50ms, 60000ms].';
  expect(await it.refusal('calc-dirty-rate', {})).toContain("'calc-time' is missing");
  expect(await refusal({ 'calc-time': 61 })).toBe(range);
  expect(await refusal({ 'calc-time': 49, 'calc-time-unit': 'millisecond' })).toBe(range);
  expect(await refusal({ 'calc-time-unit': 'minute' })).toContain('does not accept value');
  expect(await refusal({ mode: 'guess' })).toContain('does not accept value');
  expect(await refusal({ mode: 'dirty-ring' })).toBe(
    'mode dirty-ring is not enabled, use other method instead.',
  );
  expect(await refusal({ mode: 'dirty-bitmap', 'sample-pages': 512 })).toBe(
    'sample-pages is used only in page-sampling mode',
  );
  expect(await refusal({ 'sample-pages': 127 })).toBe('sample-pages is out of range[128, 16384].');
  expect(await it.execute('query-dirty-rate')).toEqual(unstarted);
});

test('one at a time', async () => {
  const it = await open();
  await it.execute('calc-dirty-rate', long);
  expect(await it.refusal('calc-dirty-rate', long)).toBe(
    'the dirty rate is already being measured.',
  );
  expect(await it.execute('query-dirty-rate')).toMatchObject({
    status: 'measuring',
    'calc-time': 60,
  });
});

test('a migration that starts ends the measurement, and is not disturbed by it', async () => {
  const source = await open({ pages: 1024 });
  const destination = await open({ pages: 1024, incoming: true });
  expect(await destination.refusal('calc-dirty-rate', quick)).toBe(
    'Guest is waiting for an incoming migration',
  );
  source.guest.fill('guest');
  await destination.listen();
  await source.execute('calc-dirty-rate', long);
  await source.execute('migrate', { uri: destination.uri });
  expect(await source.execute('query-dirty-rate')).toEqual(unstarted);
  await Promise.all([source.reaches('completed'), destination.reaches('completed')]);
  // Nobody tracks memory on either side now: it may be measured on both.
  for (const it of [source, destination]) {
    await it.execute('calc-dirty-rate', { ...quick, mode: 'dirty-bitmap' });
    expect(await measured(it)).toMatchObject({ 'dirty-rate': 0 });
  }
});

test('none begins while a migration runs, and one may after a cancelled one', async () => {
  const source = await open({ pages: 1024 });
  const destination = await open({ pages: 1024, incoming: true });
  source.guest.fill('guest');
  await destination.listen();
  await source.execute('migrate-set-parameters', { 'max-bandwidth': 100_000 });
  await source.execute('migrate', { uri: destination.uri });
  await source.reaches('active');
  expect(await source.refusal('calc-dirty-rate', quick)).toBe(IN_PROGRESS);
  await source.execute('migrate_cancel');
  await source.reaches('cancelled');
  await source.execute('calc-dirty-rate', { ...quick, mode: 'dirty-bitmap' });
  await measured(source);
});

test('two clients at once: whoever asks for a migration gets it, whatever the other measures', async () => {
  const source = await open({ pages: 1024 });
  const destination = await open({ pages: 1024, incoming: true });
  await destination.listen();
  const { machine } = source;
  const order = {
    calcTime: 1,
    unit: 'second',
    samplePages: undefined,
    mode: 'dirty-bitmap',
  } as const;
  const orders = Array.from({ length: 8 }, () => machine.migrations.dirtyRate.start(order));
  const started = source.execute('migrate', { uri: destination.uri });
  const late = Array.from({ length: 8 }, () => machine.migrations.dirtyRate.start(order));
  await Promise.allSettled([...orders, ...late]);
  await started;
  await Promise.all([source.reaches('completed'), destination.reaches('completed')]);
  expect(await source.execute('query-dirty-rate')).toEqual(unstarted);
});

import { expect, test } from 'vitest';
import { MachineFixture } from './machine-fixture.ts';
import { SilentListener } from './silent-listener.ts';
import { FAST, MANY_PAGES, openPair, SLOWLY } from './machine-pair.ts';

const IN_PROGRESS = "There's a migration process in progress";

test('memory that is still to arrive blocks the way on, and query-migrate says so', async () => {
  await using pair = await openPair({ pages: MANY_PAGES });
  const { source, destination, uri } = pair;
  await source.execute('migrate-set-parameters', SLOWLY);
  await source.execute('migrate', { uri });
  await source.execute('migrate-start-postcopy');
  await destination.reaches('postcopy-active');
  await source.reaches('postcopy-active');
  const reason = expect.stringContaining('still to arrive (incoming migration: postcopy-active)');
  const info = await destination.execute('query-migrate');
  expect(info).toMatchObject({ status: 'postcopy-active', 'blocked-reasons': [reason] });
  expect(await destination.refusal('migrate', { uri })).toEqual(reason);
  expect(await source.execute('query-migrate')).not.toHaveProperty('blocked-reasons');
  await source.execute('migrate-set-parameters', FAST);
  await Promise.all([source.reaches('completed'), destination.reaches('completed')]);
  expect(await destination.execute('query-migrate')).not.toHaveProperty('blocked-reasons');
});

test('yank breaks a migration that runs, and the guest stays where it is', async () => {
  await using pair = await openPair({ pages: MANY_PAGES });
  const { source, destination, uri } = pair;
  const yank = { instances: [{ type: 'migration' }] };
  expect(await destination.execute('query-yank')).toEqual([{ type: 'migration' }]);
  await source.execute('migrate-set-parameters', SLOWLY);
  await source.execute('migrate', { uri });
  await source.reaches('active');
  const two = { instances: [{ type: 'migration' }, { type: 'chardev', id: 'x' }] };
  expect(await source.refusal('yank', two)).toBe('Instance not found');
  expect(await source.execute('yank', { instances: [] })).toEqual({});
  expect(await source.execute('query-migrate')).toMatchObject({ status: 'active' });
  await source.client.execute('yank', yank, { oob: true });
  await Promise.all([source.reaches('failed'), destination.reaches('failed')]);
  const info = await source.execute('query-migrate');
  expect(info).toMatchObject({ 'error-desc': expect.stringContaining('yank') });
  expect(await source.status()).toBe('running');
  expect(await source.execute('query-yank')).toEqual([]);
});

test('yank in postcopy pauses it, on whichever side, and ends an attempt to recover', async () => {
  await using pair = await openPair({ pages: MANY_PAGES });
  const { source, destination, uri } = pair;
  const yank = { instances: [{ type: 'migration' }] };
  await source.execute('migrate-set-parameters', SLOWLY);
  await source.execute('migrate', { uri });
  await source.execute('migrate-start-postcopy');
  await Promise.all([source.reaches('postcopy-active'), destination.reaches('postcopy-active')]);
  await destination.execute('yank', yank);
  await Promise.all([source.reaches('postcopy-paused'), destination.reaches('postcopy-paused')]);
  expect(await source.execute('yank', yank)).toEqual({}); // nothing is open: nothing happens

  await using silent = await SilentListener.open(`${source.directory}/silent`);
  await source.execute('migrate', { uri: silent.uri, resume: true });
  await source.reaches('postcopy-recover-setup');
  await source.execute('yank', yank);
  await source.reaches('postcopy-paused');

  await source.execute('migrate-set-parameters', FAST);
  await source.execute('migrate', { uri, resume: true });
  await Promise.all([source.reaches('completed'), destination.reaches('completed')]);
});

test('a running migration refuses another and changes of capabilities, and can be cancelled', async () => {
  await using pair = await openPair({ pages: MANY_PAGES });
  const { source, destination, uri } = pair;
  await source.execute('migrate-set-parameters', SLOWLY);
  await source.execute('migrate', { uri });
  await source.reaches('active');
  expect(await source.refusal('migrate', { uri })).toBe(IN_PROGRESS);
  const none = { capabilities: [] };
  expect(await source.refusal('migrate-set-capabilities', none)).toBe(IN_PROGRESS);
  expect(await source.refusal('migrate-pause')).toContain('only supported during postcopy-active');
  expect(await source.execute('migrate_cancel')).toEqual({});
  await Promise.all([source.reaches('cancelled'), destination.reaches('failed')]);
  expect([await source.status(), await destination.status()]).toEqual(['running', 'inmigrate']);
  expect(destination.quits).toEqual([]);
  const nowhere = { uri: 'unix:/nowhere/at/all' };
  expect(await destination.refusal('migrate-incoming', nowhere)).toContain('cannot listen');
  const told = { status: 'failed', 'error-desc': expect.stringContaining('cancelled') }; // as before
  expect(await destination.execute('query-migrate')).toMatchObject(told);
  await source.execute('migrate-set-parameters', FAST);
  await destination.listen();
  await source.execute('migrate', { uri });
  await Promise.all([source.reaches('completed'), destination.reaches('completed')]);
  expect(destination.guest.running).toBe(true);
});

test('a destination that fails ends its process, by default, after having told why', async () => {
  await using source = await MachineFixture.open({ pages: MANY_PAGES });
  await using destination = await MachineFixture.open({ pages: MANY_PAGES, incoming: true });
  const { uri } = destination;
  source.guest.fill();
  await destination.execute('migrate-incoming', { uri });
  await source.execute('migrate-set-parameters', SLOWLY);
  await source.execute('migrate', { uri });
  await destination.reaches('active');
  await source.execute('migrate_cancel');
  await destination.reaches('failed');
  expect(destination.quits).toEqual([1]);
  expect(await destination.execute('query-migrate')).toMatchObject({ status: 'failed' });
});

test('a migration that nobody answers fails, and the guest runs on where it was', async () => {
  await using it = await MachineFixture.open();
  await it.execute('migrate', { uri: 'unix:/nowhere' });
  await it.reaches('failed');
  expect(await it.status()).toBe('running');
  const info = await it.execute('query-migrate');
  expect(info).toEqual({ status: 'failed', 'error-desc': expect.stringContaining('/nowhere') });
});

test('a postcopy is paused and resumed, and its guest is nobody else’s meanwhile', async () => {
  await using pair = await openPair({ pages: MANY_PAGES });
  const { source, destination, uri } = pair;
  await source.execute('migrate-set-parameters', SLOWLY);
  await source.execute('migrate', { uri });
  await source.execute('migrate-start-postcopy');
  await Promise.all([source.reaches('postcopy-active'), destination.reaches('postcopy-active')]);
  expect(await source.refusal('cont')).toBe('Migration is not finalized yet');
  expect(await source.refusal('migrate_cancel')).toContain('cannot cancel');
  expect(await source.refusal('migrate', { uri })).toBe(IN_PROGRESS);
  expect(await destination.refusal('migrate', { uri })).toContain('still to arrive');
  await destination.execute('stop');
  expect(await destination.refusal('x-guest-verify')).toContain('missing');

  await source.client.execute('migrate-pause', undefined, { oob: true });
  await Promise.all([source.reaches('postcopy-paused'), destination.reaches('postcopy-paused')]);
  expect(await source.status()).toBe('finish-migrate');
  expect(await source.refusal('migrate-pause')).toContain('only supported during postcopy-active');
  await source.execute('migrate', { uri: 'unix:/nowhere', resume: true });
  await source.reaches('postcopy-recover-setup');
  await source.reaches('postcopy-paused');

  const elsewhere = { uri: `unix:${destination.directory}/elsewhere` };
  await destination.client.execute('migrate-recover', elsewhere, { oob: true });
  await source.execute('migrate-set-parameters', FAST);
  await source.execute('migrate', { ...elsewhere, resume: true });
  await Promise.all([source.reaches('completed'), destination.reaches('completed')]);
  expect([await source.status(), await destination.status()]).toEqual(['postmigrate', 'paused']);
});

test('a stop that a page fault holds up is answered in time, and holds', async () => {
  await using it = await MachineFixture.open({ stopLimitMillis: 20 });
  let pageArrives = (): void => undefined;
  it.guest.stopping = new Promise((resolve) => {
    pageArrives = resolve;
  });
  expect(await it.refusal('stop')).toContain('run state running, migration none');
  expect(await it.status()).toBe('running');
  pageArrives();
  await it.client.waitForEvent(({ event }) => event === 'STOP', { timeoutMillis: 5_000 });
  expect(await it.status()).toBe('paused');
});

test('a migration that has not begun when its process ends never does', async () => {
  await using it = await MachineFixture.open();
  const { migrations } = it.machine;
  const begun = migrations.start({ type: 'unix', path: '/nowhere' });
  begun.catch(() => undefined); // awaited below
  await migrations.closeOutgoing();
  await expect(begun).rejects.toThrow('the process ends');
  expect(migrations.status).toBe('none');
});

import type { PageMap } from '@godwit/core';
import { expect, test, vi } from 'vitest';
import { MachineFixture } from './machine-fixture.ts';
import { FAST, MANY_PAGES, openPair, SLOWLY } from './machine-pair.ts';

const WAITING = 'Guest is waiting for an incoming migration';

test('without a migration, what needs one is refused', async () => {
  await using it = await MachineFixture.open();
  expect(await it.status()).toBe('running');
  expect(await it.execute('query-migrate')).toEqual({});
  expect(await it.execute('migrate_cancel')).toEqual({});
  const resume = { uri: 'unix:/nowhere', resume: true };
  expect(await it.refusal('migrate', resume)).toContain('no paused migration');
  expect(await it.refusal('migrate-start-postcopy')).toContain('after migration has been started');
  expect(await it.refusal('migrate-pause')).toContain('only supported during postcopy-active');
  const state = { state: 'pre-switchover' };
  expect(await it.refusal('migrate-continue', state)).toBe('Migration not in expected state: none');
  const uri = { uri: 'unix:/nowhere' };
  expect(await it.refusal('migrate-recover', uri)).toContain('postcopy is paused');
  expect(await it.refusal('migrate-incoming', uri)).toContain("'-incoming' was not specified");
  expect(await it.refusal('migrate', {})).toContain("need either 'uri' or 'channels'");
  expect(await it.execute('query-yank')).toEqual([]);
  const yank = it.client.execute('yank', { instances: [{ type: 'migration' }] });
  await expect(yank).rejects.toMatchObject({ class: 'DeviceNotFound', desc: 'Instance not found' });
});

test('stop and cont are told, and a guest that was never run says so', async () => {
  await using it = await MachineFixture.open({ paused: true });
  expect(await it.execute('query-status')).toEqual({ running: false, status: 'prelaunch' });
  await it.execute('cont');
  expect(await it.execute('query-status')).toEqual({ running: true, status: 'running' });
  await it.execute('stop');
  expect(await it.execute('query-status')).toEqual({ running: false, status: 'paused' });
  expect(it.events).toEqual(['RESUME', 'STOP']);
});

test('a guest that is still to arrive is neither run, nor verified, nor sent on', async () => {
  await using it = await MachineFixture.open({ incoming: true });
  expect(await it.status()).toBe('inmigrate');
  expect(await it.execute('cont')).toEqual({}); // takes a stop back, no more
  expect(await it.refusal('x-guest-verify')).toBe(WAITING);
  expect(await it.refusal('migrate', { uri: 'unix:/nowhere' })).toBe(WAITING);
  expect(it.guest.calls).toEqual([]);
});

test('an address that cannot be listened on leaves the process able to try another', async () => {
  await using it = await MachineFixture.open({ incoming: true });
  const nowhere = { uri: `unix:${it.directory}/nowhere/migration` };
  expect(await it.refusal('migrate-incoming', nowhere)).toContain('cannot listen');
  await it.listen();
  expect(await it.refusal('migrate-incoming', nowhere)).toContain('already been started');
  expect(await it.execute('query-migrate')).toMatchObject({ status: 'setup' });
});

test('after a precopy the destination runs the guest, and the source never again', async () => {
  await using pair = await openPair();
  const { source, destination, uri } = pair;
  await source.execute('migrate', { uri });
  await Promise.all([source.reaches('completed'), destination.reaches('completed')]);
  expect([await source.status(), await destination.status()]).toEqual(['postmigrate', 'running']);
  expect(await source.refusal('cont')).toContain('never this side');
  expect(await source.refusal('migrate', { uri })).toContain('paused due to previous migration');
  expect(source.guest.running).toBe(false);
  const without = source.events.filter((event) => !event.startsWith('MIGRATION_PASS'));
  expect(without.join(', ')).toBe(
    'RESUME, MIGRATION setup, MIGRATION active, STOP, MIGRATION device, MIGRATION completed',
  );
  expect(destination.events.join(', ')).toBe(
    'MIGRATION setup, MIGRATION active, RESUME, MIGRATION completed',
  );
});

test('a guest that was stopped arrives stopped, and may be sent on', async () => {
  await using pair = await openPair({ paused: true });
  const { source, destination, uri } = pair;
  await source.execute('migrate', { uri });
  await Promise.all([source.reaches('completed'), destination.reaches('completed')]);
  expect(await destination.status()).toBe('paused');
  await using third = await MachineFixture.open({ incoming: true });
  await third.listen();
  await destination.execute('migrate', { uri: third.uri });
  await Promise.all([destination.reaches('completed'), third.reaches('completed')]);
  expect([await destination.status(), await third.status()]).toEqual(['postmigrate', 'paused']);
  await third.execute('cont');
  expect(third.guest.running).toBe(true);
});

test('a destination told to stop keeps the guest from running when it arrives', async () => {
  await using pair = await openPair();
  const { source, destination, uri } = pair;
  await destination.execute('stop');
  await source.execute('migrate', { uri });
  await Promise.all([source.reaches('completed'), destination.reaches('completed')]);
  expect(await destination.status()).toBe('paused');
  expect(destination.guest.calls).not.toContain('resume');
});

test('a guest that cannot be slowed down does not leave with auto-converge', async () => {
  await using pair = await openPair();
  const { source, uri } = pair;
  const autoConverge = (state: boolean): object[] => [{ capability: 'auto-converge', state }];
  await source.execute('migrate-set-capabilities', { capabilities: autoConverge(true) });
  expect(await source.refusal('migrate', { uri })).toContain("'auto-converge'");
  expect(await source.execute('query-migrate')).toEqual({});
  await source.execute('migrate-set-capabilities', { capabilities: autoConverge(false) });
  await source.execute('migrate', { uri });
  await source.reaches('completed');
});

test('a way on that is refused leaves what is told of the way here', async () => {
  await using pair = await openPair();
  const { source, destination, uri } = pair;
  await source.execute('migrate', { uri });
  await Promise.all([source.reaches('completed'), destination.reaches('completed')]);
  const capabilities = [{ capability: 'auto-converge', state: true }];
  await destination.execute('migrate-set-capabilities', { capabilities });
  expect(await destination.refusal('migrate', { uri })).toContain("'auto-converge'");
  expect(await destination.execute('query-migrate')).toMatchObject({ status: 'completed' });
  expect(await destination.execute('x-query-migration-receipt')).toMatchObject({
    receipt: { outcome: 'completed' },
  });
});

test('a parameter that is a switch is set and told as one', async () => {
  await using it = await MachineFixture.open();
  await it.execute('migrate-set-parameters', { 'cpu-throttle-tailslow': true });
  const parameters = await it.execute('query-migrate-parameters');
  expect(parameters).toMatchObject({ 'cpu-throttle-tailslow': true, 'max-cpu-throttle': 99 });
  const number = { 'cpu-throttle-tailslow': 1 };
  expect(await it.refusal('migrate-set-parameters', number)).toContain('boolean');
});

test('a destination told to stop and then to go on runs the guest when it arrives', async () => {
  await using pair = await openPair();
  const { source, destination, uri } = pair;
  await destination.execute('stop');
  await destination.execute('cont');
  expect(destination.guest.calls).not.toContain('resume');
  await source.execute('migrate', { uri });
  await Promise.all([source.reaches('completed'), destination.reaches('completed')]);
  expect(await destination.status()).toBe('running');
});

test('a process whose guest has left takes it back, and nothing that it had left behind', async () => {
  await using pair = await openPair();
  const { source, destination, uri } = pair;
  await source.execute('migrate', { uri });
  await Promise.all([source.reaches('completed'), destination.reaches('completed')]);
  const nowhere = { uri: 'unix:/nowhere/at/all' };
  expect(await source.refusal('migrate-incoming', nowhere)).toContain('cannot listen');
  expect(await source.status()).toBe('postmigrate'); // as before
  await source.listen();
  expect(await source.status()).toBe('inmigrate');
  expect(source.guest.firstByte(0)).toBe(0);
  expect(await source.execute('query-migrate')).toMatchObject({ status: 'setup' });
  await destination.execute('migrate', { uri: source.uri });
  await Promise.all([destination.reaches('completed'), source.reaches('completed')]);
  expect(await source.status()).toBe('running');
  expect(await destination.status()).toBe('postmigrate');
  expect(source.guest.firstByte(0)).toBe('g'.charCodeAt(0));
  await destination.listen(); // and so on
  expect(await destination.status()).toBe('inmigrate');
});

test('a guest that was paused where it left from runs where it comes back to', async () => {
  await using pair = await openPair({ paused: true });
  const { source, destination, uri } = pair;
  await source.execute('migrate', { uri });
  await Promise.all([source.reaches('completed'), destination.reaches('completed')]);
  expect(await destination.status()).toBe('paused');
  await destination.execute('cont');
  await source.listen();
  await destination.execute('migrate', { uri: source.uri });
  await Promise.all([destination.reaches('completed'), source.reaches('completed')]);
  expect(await source.status()).toBe('running');
});

test('the state is looked at before the address is, as QEMU does', async () => {
  await using it = await MachineFixture.open();
  const bad = { uri: 'carrier-pigeon:7' };
  expect(await it.refusal('migrate-incoming', bad)).toContain("'-incoming' was not specified");
  expect(await it.refusal('migrate-recover', bad)).toContain('when postcopy is paused');
  expect(await it.refusal('migrate', { ...bad, resume: true })).toContain('unknown migration');
});

test('a receipt tells the parameters as they were at the end, whatever is set later', async () => {
  await using pair = await openPair();
  const { source, destination, uri } = pair;
  await source.execute('migrate', { uri });
  await Promise.all([source.reaches('completed'), destination.reaches('completed')]);
  for (const side of [source, destination]) {
    await side.execute('migrate-set-parameters', { 'downtime-limit': 7 });
    expect(await side.execute('x-query-migration-receipt')).toMatchObject({
      receipt: { parameters: { 'downtime-limit': 300 } },
    });
  }
});

test('migrations are told of only where the events capability is on', async () => {
  await using pair = await openPair();
  const { source, destination, uri } = pair;
  const off = { capabilities: [{ capability: 'events', state: false }] };
  await source.execute('migrate-set-capabilities', off);
  await source.execute('migrate', { uri });
  await destination.reaches('completed');
  await vi.waitFor(async () => expect(await source.status()).toBe('postmigrate'));
  expect(source.events).toEqual(['RESUME', 'STOP']);
});

test('capabilities and parameters that are not ours are refused by name, and nothing changes', async () => {
  await using it = await MachineFixture.open();
  const before = await it.execute('query-migrate-capabilities');
  const capabilities = [
    { capability: 'postcopy-blocktime', state: true },
    { capability: 'xbzrle', state: true },
  ];
  expect(await it.refusal('migrate-set-capabilities', { capabilities })).toContain("'xbzrle'");
  expect(await it.execute('query-migrate-capabilities')).toEqual(before);
  expect(before).toContainEqual({ capability: 'postcopy-ram', state: true });
  const parameters = { 'downtime-limit': 5, 'multifd-compression': 2 };
  expect(await it.refusal('migrate-set-parameters', parameters)).toContain("'multifd-compression'");
  expect(await it.refusal('migrate-set-parameters', { colour: 1 })).toContain("'colour'");
  const negative = { 'max-bandwidth': -1 };
  expect(await it.refusal('migrate-set-parameters', negative)).toContain('bytes per second');
  expect(await it.execute('query-migrate-parameters')).toMatchObject({
    'downtime-limit': 300,
    'max-bandwidth': 134_217_728,
  });
});

test('RAM and its proof are told in the words of QMP', async () => {
  await using it = await MachineFixture.open();
  const [block] = it.guest.ram;
  expect(await it.execute('x-query-guest-ram')).toEqual([
    {
      id: 'ram',
      'host-address': `0x${block?.address.toString(16)}`,
      size: 65_536,
      'page-size': 4096,
    },
  ]);
  expect(await it.refusal('x-guest-verify')).toContain('stop it first');
  await it.execute('stop');
  expect(await it.execute('x-guest-verify')).toEqual({
    ok: false,
    'pages-checked': 16,
    'pages-bad': 1,
    'bad-pages': [{ block: 'ram', page: 3, offset: 8, reason: 'stale' }],
    steps: [7],
  });
  expect(await it.execute('query-name')).toEqual({ name: 'fake' });
});

test('the page map is answered before, during and after a migration, on both sides', async () => {
  await using it = await openPair({ pages: MANY_PAGES });
  const { source, destination, uri } = it;
  const map = async (side: MachineFixture): Promise<PageMap> =>
    (await side.execute('x-query-page-map', { cells: 4 })) as PageMap;
  const ram = { id: 'ram', pages: MANY_PAGES };
  expect(await map(source)).toMatchObject({ side: 'none', 'pages-per-cell': 256, blocks: [ram] });
  expect(await map(destination)).toMatchObject({ side: 'destination' });

  await source.execute('migrate-set-parameters', SLOWLY);
  await source.execute('migrate', { uri });
  await source.reaches('active');
  const half = await map(source);
  expect(half.side).toBe('source');
  expect(half.blocks[0]?.present).toEqual([256, 256, 256, 256]);
  expect(half.blocks[0]?.dirty?.[3]).toBe(256); // far from the end at this speed
  expect((await map(destination)).blocks[0]?.received?.[3]).toBe(0);

  await source.execute('migrate-set-parameters', FAST);
  await source.reaches('completed');
  await destination.reaches('completed');
  expect((await map(source)).blocks[0]?.dirty).toEqual([0, 0, 0, 0]);
  expect((await map(destination)).blocks).toEqual([
    { ...ram, received: [256, 256, 256, 256], waiting: [0, 0, 0, 0], faulted: [0, 0, 0, 0] },
  ]);
});

test.each([0, -1, 4097])('a page map of %i cells is refused', async (cells) => {
  await using it = await MachineFixture.open();
  expect(await it.refusal('x-query-page-map', { cells })).toContain("'cells' expects 1 to 4096");
});

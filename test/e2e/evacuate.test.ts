import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { setTimeout as after } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { GodwitCommand } from '../support/godwit-command.ts';
import { GuestProcess } from '../support/guest-process.ts';
import type { GuestOptions } from '../support/guest-options.ts';
import { verifyOwner } from '../support/ownership.ts';
import { TestDirectory } from '../support/test-directory.ts';

interface Report {
  readonly name: string;
  readonly phase: string;
  readonly owner: string;
  readonly to?: string;
  readonly attempts: number;
  readonly recoveries: number;
  readonly reason?: string;
}

interface State {
  readonly moved: number;
  readonly guests: readonly Report[];
}

type Options = Partial<Omit<GuestOptions, 'directory' | 'name'>>;

/** The hosts of an evacuation: guests that run, and processes that wait. */
class Hosts {
  readonly directory: TestDirectory;
  readonly sources: readonly GuestProcess[];
  readonly destinations: readonly GuestProcess[];

  static async start(sources: readonly Options[], destinations: readonly Options[]) {
    const directory = await TestDirectory.make();
    onTestFinished(async () => await directory[Symbol.asyncDispose]());
    const start = async (name: string, options: Options): Promise<GuestProcess> => {
      const guest = await GuestProcess.start({ rate: 2_000, ...options, name, directory });
      onTestFinished(async () => await guest[Symbol.asyncDispose]());
      return guest;
    };
    const from = sources.map(async (options, i) => await start(`a${i}`, options));
    const to = destinations.map(async (options, i) => {
      return await start(`b${i}`, { incoming: 'defer', ...options });
    });
    return new Hosts(directory, await Promise.all(from), await Promise.all(to));
  }

  private constructor(directory: TestDirectory, from: GuestProcess[], to: GuestProcess[]) {
    this.directory = directory;
    this.sources = from;
    this.destinations = to;
  }

  evacuate(...options: readonly string[]): GodwitCommand {
    const from = this.sources.map(({ name }) => this.qmp(name));
    const to = this.destinations.map(({ name }) => this.qmp(name));
    return new GodwitCommand('evacuate', '--from', ...from, '--to', ...to, ...options);
  }

  qmp(name: string): string {
    return `unix:${this.directory.file(`${name}.qmp`)}`;
  }

  /** Exactly one process runs each guest, and it has every byte; @returns how many have moved. */
  async expectOneOwnerEach(): Promise<number> {
    const all = [...this.sources, ...this.destinations];
    const running = [];
    for (const guest of all) if (await guest.isRunningGuest()) running.push(guest);
    assert.equal(running.length, this.sources.length, running.map(({ name }) => name).join(' '));
    for (const guest of running) await verifyOwner(guest, []);
    return running.filter((guest) => this.destinations.includes(guest)).length;
  }
}

/** What `--json` printed. */
function stateOf(stdout: string): State {
  return JSON.parse(stdout) as State;
}

const small = { memory: '16M' };
const WAITING = { timeout: 20_000, interval: 50 };

test('five guests are moved two at a time, each to a destination that has its RAM', async () => {
  const sizes = [{ memory: '16M' }, { memory: '32M' }, small, { memory: '32M' }, small];
  const hosts = await Hosts.start(sizes, sizes.toReversed());
  const file = hosts.directory.file('state');
  const command = hosts.evacuate('--parallel', '2', '--json', '--state', file);
  const { code, stdout, stderr } = await command.ended();
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const state = stateOf(stdout);
  expect(state.moved).toBe(5);
  expect(new Set(state.guests.map(({ to }) => to)).size).toBe(5);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(state);
  expect(await hosts.expectOneOwnerEach()).toBe(5);
  for (const source of hosts.sources) expect(source.statuses.at(-1)).toBe('completed');
});

test('never more than --parallel move at once', async () => {
  const hosts = await Hosts.start([small, small, small, small], [small, small, small, small]);
  const { code } = await hosts.evacuate('--parallel', '2', '--bandwidth', '100M').ended();
  expect(code).toBe(0);
  const changes = hosts.sources.flatMap(({ events }) => {
    return events.entries.flatMap(({ status, micros }) => {
      if (status === 'setup') return [{ micros, by: 1 }];
      return status === 'completed' ? [{ micros, by: -1 }] : [];
    });
  });
  let [now, most] = [0, 0];
  for (const { by } of changes.toSorted((a, b) => a.micros - b.micros || a.by - b.by)) {
    now += by;
    most = Math.max(most, now);
  }
  expect(most).toBe(2);
});

test('a guest that no destination has the RAM for is named and runs on', async () => {
  const hosts = await Hosts.start([small, { memory: '20M' }, small], [small, small, small]);
  const { code, stdout } = await hosts.evacuate().ended();
  expect(code).toBe(1);
  expect(stdout).toContain('2 of 3 guests moved, 1 left');
  expect(stdout).toMatch(/a1: left running at .*no destination has the same RAM, pc.ram 20M/);
  expect(await hosts.sources[1]?.isRunningGuest()).toBe(true);
  expect(await hosts.expectOneOwnerEach()).toBe(2);
});

const uuid = (digit: number): Options => {
  return { memory: '16M', extraArgs: ['--uuid', `00000000-0000-0000-0000-00000000000${digit}`] };
};

test('a destination that refuses a guest costs an attempt, and another one takes the guest', async () => {
  const hosts = await Hosts.start([uuid(1)], [uuid(2), uuid(1)]);
  await hosts.sources[0]?.setCapabilities({ 'validate-uuid': true });
  const { code, stdout } = await hosts.evacuate('--json').ended();
  expect(code).toBe(0);
  expect(stateOf(stdout).guests[0]).toMatchObject({ attempts: 2, to: hosts.qmp('b1') });
  expect(await hosts.expectOneOwnerEach()).toBe(1);
});

test('a guest that every destination refuses is left running, with the reason, after all retries', async () => {
  const hosts = await Hosts.start([uuid(1)], [uuid(2)]);
  await hosts.sources[0]?.setCapabilities({ 'validate-uuid': true });
  const { code, stdout } = await hosts.evacuate('--json', '--retries', '1').ended();
  expect(code).toBe(1);
  const [guest] = stateOf(stdout).guests;
  expect(guest).toMatchObject({ phase: 'left', owner: 'source', attempts: 2 });
  expect(guest?.reason).toContain("the guest's UUID is");
  expect(await hosts.expectOneOwnerEach()).toBe(0);
});

test('a destination that dies before its turn costs an attempt and no guest', async () => {
  const hosts = await Hosts.start([small], [small, small]);
  const command = hosts.evacuate('--json', '--bandwidth', '1M');
  await hosts.sources[0]?.waitForStatus('active');
  const migrating = await listeningOf(hosts);
  migrating.kill();
  await hosts.sources[0]?.waitForStatus('failed');
  await hosts.sources[0]?.waitForStatus('active');
  command.interrupt();
  const { code, stdout } = await command.ended();
  expect(code).toBe(1);
  expect(stateOf(stdout).guests[0]).toMatchObject({ phase: 'left', owner: 'source', attempts: 2 });
  expect(await hosts.expectOneOwnerEach()).toBe(0);
});

test('Ctrl-C in the middle: whoever had moved has, the others run on where they were', async () => {
  const hosts = await Hosts.start([small, small, small, small], [small, small, small, small]);
  const [first] = hosts.sources;
  const command = hosts.evacuate('--parallel', '2', '--bandwidth', '20M', '--json');
  await first?.waitForStatus('completed', 30_000);
  command.interrupt();
  const { code, stdout } = await command.ended();
  const { moved, guests } = stateOf(stdout);
  expect(code).toBe(1);
  expect(moved).toBeLessThan(4);
  for (const { phase, owner } of guests) {
    expect([phase, owner]).toEqual(phase === 'moved' ? [phase, 'destination'] : ['left', 'source']);
  }
  expect(await hosts.expectOneOwnerEach()).toBe(moved);
  const parameters = await hosts.sources.at(-1)?.execute('query-migrate-parameters');
  expect(parameters).toMatchObject({ 'max-bandwidth': 134_217_728 }); // as it was
});

test('a second Ctrl-C ends at once and says what is where', async () => {
  const hosts = await Hosts.start([small], [small]);
  const command = hosts.evacuate('--postcopy', '--bandwidth', '200K');
  await hosts.sources[0]?.waitForStatus('postcopy-active'); // for a minute
  command.interrupt();
  await hosts.sources[0]?.runStatus();
  const interrupts = setInterval(() => command.interrupt(), 200);
  const { code, stderr } = await command.ended();
  clearInterval(interrupts);
  expect(code).toBe(1);
  expect(stderr).toMatch(/ended at once\na0: postcopy-active, owned by .*b0.qmp/);
});

test('a second Ctrl-C gives the source its own limits back, and the migration goes on', async () => {
  const hosts = await Hosts.start([small], [small]);
  const [source] = hosts.sources;
  const own = { 'max-bandwidth': 77_000_000, 'max-postcopy-bandwidth': 300_000 };
  await source?.setParameters(own);
  const command = hosts.evacuate('--postcopy', '--bandwidth', '200K');
  await source?.waitForStatus('postcopy-active');
  command.interrupt();
  await source?.runStatus();
  // The first may not have been seen yet, and a signal that waits is not counted twice.
  const interrupts = setInterval(() => command.interrupt(), 2_000);
  const { code } = await command.ended();
  clearInterval(interrupts);
  expect(code).toBe(1);
  expect(await source?.execute('query-migrate-parameters')).toMatchObject(own);
  await source?.setParameters({ 'max-postcopy-bandwidth': 0 });
  await source?.waitForStatus('completed');
  expect(await hosts.expectOneOwnerEach()).toBe(1);
});

test('a guest that waits before its switchover is named with the command that goes on', async () => {
  const hosts = await Hosts.start([small], [small]);
  const [source] = hosts.sources;
  await source?.setCapabilities({ 'pause-before-switchover': true });
  const file = hosts.directory.file('state');
  const command = hosts.evacuate('--json', '--state', file);
  await source?.waitForStatus('pre-switchover');
  await vi.waitFor(() => {
    const [guest] = stateOf(readFileSync(file, 'utf8')).guests;
    expect(guest?.reason).toContain(`godwit qmp --qmp ${hosts.qmp('a0')} migrate-continue`);
  }, WAITING);
  await source?.execute('migrate-continue', { state: 'pre-switchover' });
  const { code, stdout } = await command.ended();
  expect(code).toBe(0);
  expect(stateOf(stdout).guests[0]).not.toHaveProperty('reason');
  expect(await hosts.expectOneOwnerEach()).toBe(1);
});

test('a link lost in postcopy is recovered without anybody doing it', async () => {
  const hosts = await Hosts.start([small], [small]);
  const [source] = hosts.sources;
  const command = hosts.evacuate('--postcopy', '--bandwidth', '4M', '--json');
  await source?.waitForStatus('postcopy-active');
  await source?.execute('migrate-pause');
  await source?.waitForStatus('postcopy-paused');
  const { code, stdout } = await command.ended();
  expect(code).toBe(0);
  expect(stateOf(stdout).guests[0]).toMatchObject({ phase: 'moved', recoveries: 1 });
  expect(await hosts.expectOneOwnerEach()).toBe(1);
});

test('a link that is recovered by somebody else is followed to its end', async () => {
  const hosts = await Hosts.start([small], [small]);
  const [source] = hosts.sources;
  await source?.setCapabilities({ 'x-auto-recover': true });
  await source?.setParameters({ 'x-recover-backoff': 1 });
  const command = hosts.evacuate('--postcopy', '--bandwidth', '4M', '--json', '--retries', '1');
  await source?.waitForStatus('postcopy-active');
  await hosts.destinations[0]?.execute('migrate-pause');
  const { code, stdout } = await command.ended();
  expect(stateOf(stdout).guests[0]).toMatchObject({ phase: 'moved', recoveries: 1 });
  expect(code).toBe(0);
  expect(await hosts.expectOneOwnerEach()).toBe(1);
});

test('a reader that goes away leaves nothing in the middle', async () => {
  const hosts = await Hosts.start([small], [small]);
  const command = hosts.evacuate();
  command.stopReading();
  const { code } = await command.ended();
  expect(code).toBe(0);
  expect(await hosts.expectOneOwnerEach()).toBe(1);
});

test('capabilities that a guest has and needs are left on', async () => {
  const hosts = await Hosts.start([small], [small]);
  await hosts.sources[0]?.setCapabilities({ 'postcopy-ram': true, 'x-auto-postcopy': true });
  const { code, stdout } = await hosts.evacuate().ended();
  expect({ code, stdout }).toMatchObject({ code: 0 });
  expect(await hosts.expectOneOwnerEach()).toBe(1);
});

test('a destination that dies in postcopy has the guest, and nobody is told to go on with it', async () => {
  const hosts = await Hosts.start([small], [small]);
  const command = hosts.evacuate('--postcopy', '--bandwidth', '1M', '--retries', '1', '--json');
  await hosts.sources[0]?.waitForStatus('postcopy-active');
  hosts.destinations[0]?.kill();
  const { code, stdout } = await command.ended();
  expect(code).toBe(1);
  const [guest] = stateOf(stdout).guests;
  expect(guest).toMatchObject({ phase: 'unknown', owner: 'destination', recoveries: 1 });
  expect(guest?.reason).toContain('the guest is lost');
  expect(await hosts.sources[0]?.isRunningGuest()).toBe(false);
});

test('the guests that run share the bandwidth, and together keep to it', async () => {
  const guest = { memory: '32M', workload: 'idle' } as const;
  const hosts = await Hosts.start([guest, guest, guest], [guest, guest, guest]);
  const budget = 12 * 1024 ** 2;
  const command = hosts.evacuate('--parallel', '3', '--bandwidth', '12M');
  await Promise.all(hosts.sources.map(async (source) => await source.waitForStatus('active')));
  for (const source of hosts.sources) {
    const limits = await source.execute('query-migrate-parameters');
    expect(limits).toMatchObject({ 'max-bandwidth': budget / 3 });
  }
  const before = await sentBytes(hosts.sources);
  await after(2000); // the window of the promise, not a wait for something
  const now = await sentBytes(hosts.sources);
  const rate = ((now.bytes - before.bytes) / (now.millis - before.millis)) * 1000;
  expect(rate).toBeLessThanOrEqual(budget * 1.05);
  expect(rate).toBeGreaterThanOrEqual(budget * 0.8);
  command.interrupt();
  await command.ended();
  expect(await hosts.expectOneOwnerEach()).toBeLessThanOrEqual(3);
});

async function sentBytes(sources: readonly GuestProcess[]) {
  const infos = await Promise.all(
    sources.map(async (source) => {
      return await source.execute<{ ram: { transferred: number } }>('query-migrate');
    }),
  );
  const bytes = infos.reduce((sum, { ram }) => sum + ram.transferred, 0);
  return { bytes, millis: performance.now() };
}

/** The destination that takes part now. */
async function listeningOf({ destinations }: Hosts): Promise<GuestProcess> {
  for (const destination of destinations) {
    const { status } = await destination.execute<{ status?: string }>('query-migrate');
    if (status === 'active') return destination;
  }
  throw new Error('no destination takes part');
}

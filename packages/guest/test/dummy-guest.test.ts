import { decode, encode } from '@msgpack/msgpack';
import { copyMemory, viewMemory } from '@godwit/posix';
import { expect, test } from 'vitest';
import { DummyGuest } from '../src/dummy-guest.ts';
import { verifyGuest } from '../src/verifier.ts';
import { realGuest, realRam, runSteps } from './real-ram.ts';

test.for([
  ['sweep', 1],
  ['sweep', 3],
  ['random', 2],
  ['zipf', 3],
] as const)('a %s guest of %i vCPUs proves right whenever it stops', async ([workload, vcpus]) => {
  const guest = await realGuest({ workload, vcpus, seed: 42, fill: 0.7 });
  expect(await guest.verify()).toMatchObject({ ok: true, pagesChecked: 263 });
  for (let round = 0; round < 5; round += 1) {
    await guest.resume();
    await runSteps(guest, 10_000);
    await guest.pause();
    const result = await guest.verify();
    expect(result).toMatchObject({ ok: true, badPages: [], steps: guest.steps() });
  }
  expect(guest.steps().every((steps) => steps > 0)).toBe(true);
});

test('an idle guest makes no steps and its RAM stays as it was filled', async () => {
  const guest = await realGuest({ workload: 'idle', vcpus: 2 });
  await guest.resume();
  expect(guest.running).toBe(true);
  await guest.pause();
  expect(guest.steps()).toEqual([0, 0]);
  expect(await guest.verify()).toMatchObject({ ok: true });
});

test('a paused guest stands still: neither its steps nor its RAM change', async () => {
  const guest = await realGuest({ ram: realRam([1]) });
  const bytes = new Uint8Array(viewMemory(guest.ram[0]?.address ?? 0, 4096));
  for (let round = 0; round < 200; round += 1) {
    await guest.resume();
    await guest.pause();
    const [steps, byte] = [guest.stepsTotal, bytes[0]];
    await new Promise((resolve) => setImmediate(resolve));
    expect([guest.stepsTotal, bytes[0]]).toEqual([steps, byte]);
  }
  expect(guest.stepsTotal).toBeGreaterThan(0);
});

test('a resume that is taken back before its turn starts nothing, not even later', async () => {
  const guest = await realGuest({ workload: 'random', vcpus: 2 });
  const taken = new AbortController();
  const first = guest.pause(); // its turn
  const resumed = guest.resume({ signal: taken.signal });
  taken.abort(new Error('taken back'));
  await expect(resumed).rejects.toThrow('taken back');
  await first;
  await guest.pause();
  expect([guest.running, guest.stepsTotal]).toEqual([false, 0]);
});

test('a throttled guest makes the fewer steps, and lets go at once when it is lifted', async () => {
  const guest = await realGuest({ workload: 'random', rate: 20_000, vcpus: 2 });
  const millisFor = async (steps: number): Promise<number> => {
    const begin = performance.now();
    await runSteps(guest, steps);
    return performance.now() - begin;
  };
  await guest.resume();
  guest.throttle(90); // of 20 000 steps a second 2000 are left
  await runSteps(guest, 1);
  expect(await millisFor(2000)).toBeGreaterThan(400); // without it: 100 ms
  guest.throttle(99);
  guest.throttle(0); // whoever sleeps for a second is woken
  expect(await millisFor(4000)).toBeLessThan(5000); // they would take 20 s
  await guest.pause();
  expect(await guest.verify()).toMatchObject({ ok: true });
});

test('a throttled guest stops out of its sleep', async () => {
  const guest = await realGuest({ workload: 'random' });
  guest.throttle(99); // 10 ms of running, 990 of sleep
  let waitedMillis = 0;
  for (let round = 0; round < 4; round += 1) {
    await guest.resume();
    await untilAsleep(guest);
    const asked = performance.now();
    await guest.pause();
    waitedMillis += performance.now() - asked;
  }
  expect(waitedMillis).toBeLessThan(1500);
  expect(await guest.verify()).toMatchObject({ ok: true });
});

test.for([-1, 100, 0.5, NaN])('a throttle of %d is refused', async (percentage) => {
  const guest = await realGuest();
  expect(() => guest.throttle(percentage)).toThrow('expected 0 to 99 percent');
});

test('pause and resume are idempotent and take their turns in the order of the calls', async () => {
  const guest = await realGuest({ vcpus: 2 });
  await guest.pause();
  expect(guest.running).toBe(false);
  await Promise.all([guest.resume(), guest.resume(), guest.pause(), guest.resume()]);
  expect(guest.running).toBe(true);
  await Promise.all([guest.pause(), guest.resume(), guest.pause(), guest.pause()]);
  expect(guest.running).toBe(false);
  expect(await guest.verify()).toMatchObject({ ok: true });
});

test('a guest that moved goes on at its destination exactly where it stopped', async () => {
  const source = await realGuest({ workload: 'zipf', vcpus: 2, seed: 9, fill: 0.5, rate: 1e6 });
  await source.resume();
  await runSteps(source, 5000);
  await source.pause();

  const destination = await realGuest({ fillMemory: false, vcpus: 1, workload: 'idle' });
  copyRam(source, destination);
  destination.loadDeviceState(source.saveDeviceState());
  expect(destination.steps()).toEqual(source.steps());
  expect(await destination.verify()).toMatchObject({ ok: true });

  await destination.resume();
  await runSteps(destination, 5000);
  await destination.pause();
  expect(await destination.verify()).toMatchObject({ ok: true });
  expect(destination.threadIds()).toHaveLength(2);
  expect(decode(destination.saveDeviceState())).toMatchObject({ rate: 1e6, workload: 'zipf' });
});

test('a destination with more vCPUs than the guest it takes over parks the rest', async () => {
  const source = await realGuest({ vcpus: 1, workload: 'random' });
  await source.resume();
  await runSteps(source, 1000);
  await source.pause();
  const destination = await realGuest({ fillMemory: false, vcpus: 3 });
  copyRam(source, destination);
  destination.loadDeviceState(source.saveDeviceState());
  await destination.resume();
  await runSteps(destination, 1000);
  await destination.pause();
  expect(destination.steps()).toHaveLength(1);
  expect(await destination.verify()).toMatchObject({ ok: true });
});

test('a refused device state leaves the guest as it was', async () => {
  const guest = await realGuest({ vcpus: 2 });
  await guest.resume();
  await runSteps(guest, 1000);
  await guest.pause();
  const before = guest.saveDeviceState();
  const good = decode(before) as Record<string, unknown>;
  for (const change of [{ seed: -1 }, { blocks: [] }, { vcpus: [{ steps: -1 }] }]) {
    const load = () => guest.loadDeviceState(encode({ ...good, ...change }));
    expect(load).toThrow(expect.objectContaining({ code: 'ERR_DEVICE_STATE' }));
  }
  expect(guest.saveDeviceState()).toEqual(before);
  expect(await guest.verify()).toMatchObject({ ok: true });
});

test('what needs a stopped guest refuses a running one', async () => {
  const guest = await realGuest();
  const state = guest.saveDeviceState();
  await guest.resume();
  const refused = expect.objectContaining({ code: 'ERR_GUEST_RUNNING' });
  expect(() => guest.saveDeviceState()).toThrow(refused);
  expect(() => guest.loadDeviceState(state)).toThrow(refused);
  await expect(guest.verify()).rejects.toThrow(refused);
});

test('an incoming guest leaves RAM untouched', async () => {
  const guest = await realGuest({ fillMemory: false });
  const empty = { workload: 'idle', seed: 1, fill: 0, vcpus: [] } as const;
  expect(await verifyGuest(guest.ram, empty)).toMatchObject({ ok: true });
  expect(await guest.verify()).toMatchObject({ ok: false, pagesBad: 263 });
});

test('the rate is that of the whole guest, however many vCPUs share it', async () => {
  const guest = await realGuest({ vcpus: 2, rate: 20_000 });
  const begin = performance.now();
  await guest.resume();
  await runSteps(guest, 4000);
  await guest.pause();
  // Never faster; slower only as far as a loaded machine makes it.
  const rate = (guest.stepsTotal / (performance.now() - begin)) * 1000;
  expect(rate).toBeLessThan(21_000);
  expect(rate).toBeGreaterThan(5_000);
});

test('a slow rate does not hold up a pause', async () => {
  const guest = await realGuest({ rate: 0.001 });
  await guest.resume();
  await guest.pause({ signal: AbortSignal.timeout(5000) });
  expect(guest.steps()).toEqual([0]);
});

test('the threads of the vCPUs are those of Linux, each its own', async () => {
  const guest = await realGuest({ vcpus: 3 });
  const ids = guest.threadIds();
  expect(new Set(ids).size).toBe(3);
  expect(ids.every((id) => id > 0 && id !== process.pid)).toBe(true);
});

test('a closed guest refuses everything, and closing again is nothing', async () => {
  const guest = await realGuest({ vcpus: 2 });
  await guest.resume();
  await guest.close();
  await guest.close();
  expect(guest.running).toBe(false);
  const refused = expect.objectContaining({ code: 'ERR_GUEST_CLOSED' });
  await expect(guest.resume()).rejects.toThrow(refused);
  await expect(guest.pause()).rejects.toThrow(refused);
  expect(() => guest.saveDeviceState()).toThrow(refused);
});

test('an option out of its range is refused by name before a thread starts', async () => {
  const create = (options: object) => DummyGuest.create({ ram, fillMemory: false, ...options });
  const ram = realRam([2]);
  await expect(create({ vcpus: 3 })).rejects.toThrow('vcpus is 3, expected 1 to 2 for 2 pages');
  await expect(create({ vcpus: 0 })).rejects.toThrow(RangeError);
  await expect(create({ seed: 0.5 })).rejects.toThrow('seed');
  await expect(create({ fill: 2 })).rejects.toThrow('fill');
  await expect(create({ rate: -1 })).rejects.toThrow('rate');
  await expect(create({ workload: 'spin' })).rejects.toThrow('workload');
});

function copyRam(from: DummyGuest, to: DummyGuest): void {
  for (const [index, block] of from.ram.entries()) {
    copyMemory(to.ram[index]?.address ?? 0, block.address, block.byteLength);
  }
}

/** Resolves once a guest that ran has made no step for some milliseconds. */
async function untilAsleep(guest: DummyGuest): Promise<void> {
  let [steps, since] = [guest.stepsTotal, performance.now()];
  await runSteps(guest, 1);
  while (performance.now() - since < 8) {
    await new Promise((resolve) => setImmediate(resolve));
    if (guest.stepsTotal !== steps) [steps, since] = [guest.stepsTotal, performance.now()];
  }
}

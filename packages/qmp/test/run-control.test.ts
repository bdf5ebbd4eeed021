import { expect, test, vi } from 'vitest';

import { RunControl } from '../src/machine/run-control.ts';
import { FakeGuest } from './fake-guest.ts';

function openControl({ wanted = true, held = false } = {}) {
  const guest = new FakeGuest();
  const told: string[] = [];
  const control = new RunControl(guest, { wanted, held }, (event) => told.push(event));
  return { guest, told, control, [Symbol.dispose]: () => guest[Symbol.dispose]() };
}

test('a change is told once, however often and by whomever it is asked for', async () => {
  using it = openControl();
  await it.control.cont();
  await it.control.cont();
  await Promise.all([it.control.stop(), it.control.stop(), it.control.hold()]);
  await it.control.release();
  await it.control.cont();
  expect(it.told).toEqual(['RESUME', 'STOP', 'RESUME']);
});

test('a guest that a migration holds does not run, whoever wants it to', async () => {
  using it = openControl({ held: true });
  await it.control.stop();
  expect(it.guest.calls).toEqual([]);
  await it.control.release();
  expect(it.guest.running).toBe(false); // stop was heard all the same
  await it.control.cont();
  expect(it.guest.running).toBe(true);
});

test('a guest stopped while a migration held it stays stopped when the migration gives it back', async () => {
  using it = openControl();
  await it.control.cont();
  const engine = it.control.engineGuest();
  await engine.pause();
  await it.control.stop();
  await engine.resume();
  expect(it.guest.running).toBe(false);
  expect(it.told).toEqual(['RESUME', 'STOP']);
});

test('the engine takes a guest for running that is about to run, and no other', async () => {
  using it = openControl({ wanted: false });
  const engine = it.control.engineGuest();
  expect(engine.running).toBe(false);
  const running = it.control.cont();
  expect(engine.running).toBe(true);
  await running;
  await it.control.hold();
  expect(engine.running).toBe(false);
});

test('a stop that nobody waits for any more happens, and is told, when the vCPU comes back', async () => {
  using it = openControl();
  await it.control.cont();
  let pageArrives = (): void => undefined;
  it.guest.stopping = new Promise((resolve) => {
    pageArrives = resolve;
  });
  const stopped = it.control.stop();
  expect(it.control.runs).toBe(true);
  pageArrives();
  await stopped;
  expect(it.told).toEqual(['RESUME', 'STOP']);
  expect(it.control.runs).toBe(false);
});

test('a stop reaches the vCPUs that run, though one hangs since before it was let run', async () => {
  using it = openControl();
  it.guest.starting = new Promise(() => undefined);
  void it.control.cont();
  await vi.waitFor(() => expect(it.guest.calls).toContain('resume'));
  await it.control.stop();
  expect(it.guest.running).toBe(false);
  expect(it.told).toEqual(['RESUME', 'STOP']);
});

test('who is refused to run it may ask again', async () => {
  using guest = new FakeGuest();
  let isFull = true;
  const beforeRun = (): void => {
    if (isFull) throw new Error('ENOSPC');
  };
  const control = new RunControl(guest, { wanted: false, held: false }, () => undefined, beforeRun);
  await expect(control.cont()).rejects.toThrow('ENOSPC');
  expect([control.wanted, guest.running]).toEqual([false, false]);
  await control.stop(); // not refused with it
  await control.hold();
  await control.release();
  isFull = false;
  await control.cont();
  expect(guest.running).toBe(true);
});

test('cont takes back a stop that has not happened, and neither is told', async () => {
  using it = openControl();
  await it.control.cont();
  it.guest.stopping = new Promise(() => undefined);
  const stopped = it.control.stop();
  await vi.waitFor(() => expect(it.guest.calls).toContain('pause'));
  await it.control.cont();
  await expect(stopped).rejects.toThrow('another command');
  await it.control.release();
  expect(it.guest.calls).toEqual(['resume', 'pause', 'resume']);
  expect(it.told).toEqual(['RESUME']);
});

test('of wishes that come at once only the last is carried out', async () => {
  using it = openControl();
  await it.control.cont();
  const stopped = it.control.stop();
  const running = it.control.cont();
  await expect(stopped).rejects.toThrow('another command');
  await running;
  await it.control.release();
  expect(it.guest.calls).toEqual(['resume', 'resume']);
  expect(it.told).toEqual(['RESUME']);
});

test('a frozen guest does not run whatever the user says, and is as the user wants it once thawed', async () => {
  using it = openControl();
  await it.control.cont();
  it.control.freeze();
  expect(it.control.meantToRun).toBe(false);
  await it.control.stop();
  await it.control.cont();
  await it.control.release();
  expect(it.guest.running).toBe(false);
  it.control.thaw();
  await it.control.cont();
  expect(it.guest.running).toBe(true);
  expect(it.told).toEqual(['RESUME', 'STOP', 'RESUME']);

  it.control.freeze();
  await it.control.stop();
  it.control.thaw();
  await it.control.release();
  expect(it.guest.running).toBe(false);
});

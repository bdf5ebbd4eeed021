import { expect, test } from 'vitest';
import { SenderControl } from '../src/threads/sender-control.ts';
import { inWorker } from './in-worker.ts';

const RING_REQUESTS = 1024;
/** Far more than a wake-up takes, far less than the sleep it ends. */
const PROMPT_MILLIS = 5000;
const LONG_MILLIS = 30_000;

/** A control whose ring has seen so many requests already, all taken. */
function afterRequests(count: number): SenderControl {
  const control = new SenderControl();
  const words = new Int32Array(control.buffer);
  words.fill(count, 3, 5); // head and tail
  expect(control.takeRequest()).toBeUndefined();
  return control;
}

/** @returns the milliseconds that it took. */
function timed(action: () => void): number {
  const started = performance.now();
  action();
  return performance.now() - started;
}

test('threads see how zero pages are looked for, and who begins does as is usual', () => {
  const control = new SenderControl();
  const other = new SenderControl(control.buffer);
  expect(other.zeroPageDetection).toBe('multifd');
  for (const mode of ['none', 'legacy', 'multifd'] as const) {
    control.zeroPageDetection = mode;
    expect(other.zeroPageDetection).toBe(mode);
  }
  expect(new SenderControl(control.buffer).zeroPageDetection).toBe('multifd');
});

test('requests come out in the order they went in, and then there are none', () => {
  const control = new SenderControl();
  expect(control.takeRequest()).toBeUndefined();
  expect(control.pushRequest(0, 7)).toBe(true);
  expect(control.pushRequest(255, 2 ** 31 - 1)).toBe(true);
  expect(control.takeRequest()).toEqual([0, 7]);
  expect(control.takeRequest()).toEqual([255, 2 ** 31 - 1]);
  expect(control.takeRequest()).toBeUndefined();
});

test('a full ring takes no more, keeps what it has, and has room again once one is taken', () => {
  const control = new SenderControl();
  for (let page = 0; page < RING_REQUESTS; page += 1) {
    expect(control.pushRequest(1, page)).toBe(true);
  }
  expect(control.pushRequest(1, 9999)).toBe(false);
  expect(control.takeRequest()).toEqual([1, 0]);
  expect(control.pushRequest(1, 5000)).toBe(true);
  expect(control.pushRequest(1, 9999)).toBe(false);
  for (let page = 1; page < RING_REQUESTS; page += 1) {
    expect(control.takeRequest()).toEqual([1, page]);
  }
  expect(control.takeRequest()).toEqual([1, 5000]);
  expect(control.takeRequest()).toBeUndefined();
});

test('the ring goes on where its counters pass the largest int32, full or not', () => {
  for (const before of [2 ** 31 - 3, -3, 2 ** 31 - RING_REQUESTS]) {
    const control = afterRequests(before);
    for (let page = 0; page < RING_REQUESTS; page += 1) {
      expect(control.pushRequest(2, page)).toBe(true);
    }
    expect(control.pushRequest(2, 9999)).toBe(false);
    for (let page = 0; page < RING_REQUESTS; page += 1) {
      expect(control.takeRequest()).toEqual([2, page]);
    }
    expect(control.takeRequest()).toBeUndefined();
  }
});

test('requests of an old link are forgotten, and new ones are not', () => {
  const control = afterRequests(2 ** 31 - 2);
  for (let page = 0; page < 5; page += 1) control.pushRequest(0, page);
  control.clearRequests();
  expect(control.takeRequest()).toBeUndefined();
  control.pushRequest(0, 77);
  expect(control.takeRequest()).toEqual([0, 77]);
});

test('every request that one thread leaves another takes, once and in order', async () => {
  const requests = 50_000;
  const control = afterRequests(2 ** 31 - 20_000);
  const { answer } = inWorker({
    modules: ['threads/sender-control'],
    data: { buffer: control.buffer, requests },
    body: `
      const control = new lib.SenderControl(data.buffer);
      for (let page = 0; page < data.requests;) {
        const { wakeCount } = control;
        const request = control.takeRequest();
        if (request === undefined) control.sleep(wakeCount, 1000);
        else if (request[0] !== page % 7 || request[1] !== page++) return request;
      }
      return 'all';`,
  });
  for (let page = 0; page < requests;) {
    if (control.pushRequest(page % 7, page)) page += 1;
    else await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await answer).toBe('all');
});

test('a transfer is stopped by its number, and no other is', () => {
  const control = new SenderControl();
  expect(control.isStopped(1)).toBe(false);
  control.stop(1);
  expect([1, 2].map((transfer) => control.isStopped(transfer))).toEqual([true, false]);
  control.stop(2);
  expect(control.isStopped(2)).toBe(true);
});

test('what changes after the count was read is not slept over', () => {
  const changes: ((control: SenderControl) => void)[] = [
    (control) => control.wake(),
    (control) => control.stop(3),
    (control) => control.setBandwidths(1, 2),
    (control) => control.pushRequest(0, 1),
  ];
  for (const change of changes) {
    const control = new SenderControl();
    const { wakeCount } = control;
    change(control);
    expect(timed(() => control.sleep(wakeCount, LONG_MILLIS))).toBeLessThan(PROMPT_MILLIS);
  }
});

test('without a change a sleep lasts as long as it was asked to', () => {
  const control = new SenderControl();
  expect(timed(() => control.sleep(control.wakeCount, 20))).toBeGreaterThanOrEqual(19);
});

test('a thread that sleeps is woken by a change that another makes', async () => {
  const changes: ((control: SenderControl) => void)[] = [
    (control) => control.stop(3),
    (control) => control.pushRequest(0, 1),
  ];
  for (const change of changes) {
    const control = new SenderControl();
    const { answer, told } = inWorker({
      modules: ['threads/sender-control'],
      data: { buffer: control.buffer, millis: LONG_MILLIS },
      body: `
        const control = new lib.SenderControl(data.buffer);
        const { wakeCount } = control;
        tell('going to sleep');
        const started = performance.now();
        control.sleep(wakeCount, data.millis);
        return performance.now() - started;`,
    });
    await told;
    change(control);
    expect(await answer).toBeLessThan(PROMPT_MILLIS);
  }
});

test('the count of wake-ups goes on past the largest int32', () => {
  const control = new SenderControl();
  new Int32Array(control.buffer)[1] = 2 ** 31 - 1;
  const { wakeCount } = control;
  expect(wakeCount).toBe(2 ** 31 - 1);
  control.wake();
  expect(control.wakeCount).not.toBe(wakeCount);
  expect(timed(() => control.sleep(wakeCount, LONG_MILLIS))).toBeLessThan(PROMPT_MILLIS);
});

test('each kind of transfer has its own bandwidth, beyond 32 bits', () => {
  const control = new SenderControl();
  const worker = new SenderControl(control.buffer);
  expect(worker.bandwidth('precopy')).toBe(0);
  control.setBandwidths(2 ** 40 + 1, 2 ** 33);
  expect(worker.bandwidth('precopy')).toBe(2 ** 40 + 1);
  expect(worker.bandwidth('postcopy')).toBe(2 ** 33);
  expect(worker.bandwidth('unlimited')).toBe(0);
});

test('there is no urgent channel until one is named, and a worker does not forget it', () => {
  const control = new SenderControl();
  expect(control.urgentDescriptor).toBe(-1);
  control.urgentDescriptor = 23;
  expect(new SenderControl(control.buffer).urgentDescriptor).toBe(23);
  expect(control.urgentDescriptor).toBe(23);
});

test('the words do not overlap: a full ring changes neither limits nor descriptor', () => {
  const control = new SenderControl();
  control.setBandwidths(5, 6);
  control.urgentDescriptor = 7;
  while (control.pushRequest(-1, -1));
  expect([control.bandwidth('precopy'), control.bandwidth('postcopy')]).toEqual([5, 6]);
  expect(control.urgentDescriptor).toBe(7);
  expect(control.isStopped(-1)).toBe(false);
});

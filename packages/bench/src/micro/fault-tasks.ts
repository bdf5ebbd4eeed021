import { Blocktime, FaultLedger, LatencyHistogram } from '@godwit/core';

import { group, type MicroGroup, type MicroTask } from './micro-task.ts';

const FAULTS = 1000;
/** Threads that wait at the same time. */
const WAITING = 4;

/** What is written down about a fault between the touch and the wake-up, beside serving it. */
export function faultTasks(): MicroGroup {
  return group('fault bookkeeping', [ledgerTask(), histogramTask(), blocktimeTask()]);
}

function ledgerTask(): MicroTask {
  const ledger = new FaultLedger();
  const look = (_threadId: number, _asked: number, placedMillis: number): void => {
    if (placedMillis < 0) throw new Error('placed before the start');
  };
  const run = (): void => {
    for (let fault = 0; fault < FAULTS; fault += WAITING) {
      for (let i = 0; i < WAITING; i++) ledger.open(0, fault + i, 100 + i, fault);
      for (let i = 0; i < WAITING; i++) ledger.settle(0, fault + i, fault + 1);
      ledger.collect(look);
    }
  };
  const name = `ledger: open, settle, collect; ${WAITING} wait at a time`;
  return { name, run, count: FAULTS, unit: 'fault' };
}

function histogramTask(): MicroTask {
  const histogram = new LatencyHistogram();
  const run = (): void => {
    for (let i = 0; i < FAULTS; i++) histogram.add(30 + i / 4);
  };
  return { name: 'latency histogram: add', run, count: FAULTS, unit: 'fault' };
}

function blocktimeTask(): MicroTask {
  const blocktime = new Blocktime(WAITING);
  let now = 0;
  const run = (): void => {
    for (let i = 0; i < FAULTS; i++, now += 0.1) {
      const threadId = 100 + (i % WAITING);
      blocktime.add(threadId, now, now + 0.2);
    }
  };
  return { name: `blocktime of ${WAITING} vCPUs: add`, run, count: FAULTS, unit: 'fault' };
}

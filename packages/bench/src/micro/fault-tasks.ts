import { Blocktime, FaultLedger, type FaultVisitor, LatencyHistogram } from '@godwit/core';

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
  let waitedMillis = 0;
  const addUp: FaultVisitor = (_, askedMillis, placedMillis) => {
    waitedMillis += placedMillis - askedMillis;
  };
  const run = (): void => {
    for (let fault = 0; fault < FAULTS; fault += WAITING) {
      for (let i = 0; i < WAITING; i++) ledger.open(0, fault + i, 100 + i, fault);
      for (let i = 0; i < WAITING; i++) ledger.settle(0, fault + i, fault + 1);
      ledger.collect(addUp);
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
      blocktime.add(100 + (i % WAITING), now, now + 0.2);
    }
  };
  return { name: `blocktime of ${WAITING} vCPUs: add`, run, count: FAULTS, unit: 'fault' };
}

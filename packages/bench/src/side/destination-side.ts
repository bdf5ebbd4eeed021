import assert from 'node:assert/strict';

import { Destination } from './destination.ts';
import { PumpEnd } from './pump-end.ts';
import { serveSide } from './serve-side.ts';
import type { DestinationCommands } from './side-api.ts';

/* The process that the guest comes to: one migration or one pump after the other. */

let destination: Destination | undefined;
let pumpEnd: PumpEnd | undefined;

serveSide<DestinationCommands>({
  prepareMigration: async (plan) => {
    assert.equal(destination, undefined);
    destination = await Destination.create(plan);
    return await destination.listen(plan);
  },
  untilReceived: async (bytes) => await current().untilReceived(bytes),
  untilPaused: async () => await current().untilPaused(),
  untilRecovered: async () => await current().untilRecovered(),
  untilCompleted: async () => await current().untilCompleted(),
  verify: async () => {
    const finished = current();
    destination = undefined;
    await finished.verify();
  },
  preparePump: async (plan) => {
    assert.equal(pumpEnd, undefined);
    pumpEnd = await PumpEnd.open(plan);
    return pumpEnd.address;
  },
  untilPumped: async () => {
    assert(pumpEnd !== undefined);
    const report = await pumpEnd.done();
    pumpEnd = undefined;
    return report;
  },
});

function current(): Destination {
  assert(destination !== undefined);
  return destination;
}

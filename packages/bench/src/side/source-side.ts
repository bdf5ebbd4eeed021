import assert from 'node:assert/strict';

import { idleSyncs } from './idle-syncs.ts';
import { scatteredSyncs } from './scattered-syncs.ts';
import { serveSide } from './serve-side.ts';
import type { SourceCommands } from './side-api.ts';
import { Source } from './source.ts';

/* The process that the guest leaves. */

let source: Source | undefined;

serveSide<SourceCommands>({
  create: async (plan) => {
    assert.equal(source, undefined);
    source = await Source.create(plan);
  },
  prepareMigration: async (plan) => await created().prepareMigration(plan),
  migrate: async (address) => await created().migrate(address),
  cut: async () => await created().cut(),
  resume: async (address) => await created().resume(address),
  preparePump: async (channels) => await created().preparePump(channels),
  pump: async (address) => await created().pump(address),
  idleSyncs: async (memoryBytes) => await Promise.resolve(idleSyncs(memoryBytes)),
  scatteredSyncs: async (memoryBytes) => await Promise.resolve(scatteredSyncs(memoryBytes)),
});

function created(): Source {
  assert(source !== undefined);
  return source;
}

import { randomInt } from 'node:crypto';
import { defineConfig } from 'vitest/config';

/** Tests read the sources; workers and spawned processes run dist, which `pnpm test` builds first. */
const fromSources = {
  resolve: { conditions: ['godwit-source'] },
  ssr: { resolve: { conditions: ['godwit-source', 'node', 'import', 'module', 'default'] } },
};

/** For the whole of a test, hang included; a promise about time has its own, tighter limit. */
const limits = { testTimeout: 60_000, hookTimeout: 60_000 };

/**
 * Real processes on few cores: one file at a time, after the rest, so that a time limit means something.
 * The files share a process, for the guests have theirs; to load all modules anew for each takes a second.
 */
const oneAtATime = {
  ...limits,
  fileParallelism: false,
  isolate: false,
  sequence: { groupOrder: 1 },
};

/** Of the whole run of the fault tests: what it draws is drawn from here, and every failure names it. */
const seed = process.env['GODWIT_SEED'] || String(randomInt(2 ** 32));

/** The fault tests take tcp and unix in turn, by their seed; the end-to-end tests always take both. */
const ofFaults = {
  GODWIT_SEED: seed,
  GODWIT_TRANSPORT: process.env['GODWIT_TRANSPORT'] || (Number(seed) % 2 === 0 ? 'unix' : 'tcp'),
};

/** Of the e2e and fault tests, which `pnpm test:portable` runs all with portable memory: these, always. */
const inPortableMemory = [
  'test/e2e/leftovers.test.ts',
  'test/faults/random-commands.test.ts',
  'test/faults/random-cuts.test.ts',
];

export default defineConfig({
  test: {
    projects: [
      {
        ...fromSources,
        test: {
          name: 'unit',
          setupFiles: ['test/support/property-seed.ts'],
          include: ['packages/*/test/**/*.test.ts'],
          ...limits,
        },
      },
      { ...fromSources, test: { name: 'e2e', include: ['test/e2e/**/*.test.ts'], ...oneAtATime } },
      {
        ...fromSources,
        test: {
          name: 'faults',
          include: ['test/faults/**/*.test.ts'],
          env: ofFaults,
          ...oneAtATime,
        },
      },
      {
        ...fromSources,
        test: {
          name: 'portable',
          include: inPortableMemory,
          env: { GODWIT_MEMORY_MODE: 'portable' },
          ...oneAtATime,
        },
      },
    ],
  },
});

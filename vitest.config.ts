import { defineConfig } from 'vitest/config';

/** Tests read the sources; workers and spawned processes run dist, which `pnpm test` builds first. */
const fromSources = {
  resolve: { conditions: ['godwit-source'] },
  ssr: { resolve: { conditions: ['godwit-source', 'node', 'import', 'module', 'default'] } },
};

/** For the whole of a test, hang included; a promise about time has its own, tighter limit. */
const limits = { testTimeout: 60_000, hookTimeout: 60_000 };

/** Real processes on few cores: one file at a time, so that a time limit means something. */
const oneAtATime = { ...limits, fileParallelism: false };

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
        test: { name: 'faults', include: ['test/faults/**/*.test.ts'], ...oneAtATime },
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

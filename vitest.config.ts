import { defineConfig } from 'vitest/config';

/** Unit tests read the sources; workers and spawned processes run dist, which `pnpm test` builds first. */
const resolve = { conditions: ['godwit-source'] };
const ssr = { resolve: { conditions: ['godwit-source', 'node', 'import', 'module', 'default'] } };
const limits = { testTimeout: 60_000, hookTimeout: 60_000 };

export default defineConfig({
  test: {
    projects: [
      { resolve, ssr, test: { name: 'unit', include: ['packages/*/test/**/*.test.ts'], ...limits } },
      {
        resolve,
        ssr,
        // Real processes on few cores: one file at a time, so that a time limit means something.
        test: { name: 'e2e', include: ['test/e2e/**/*.test.ts'], fileParallelism: false, ...limits },
      },
      {
        resolve,
        ssr,
        test: { name: 'faults', include: ['test/faults/**/*.test.ts'], fileParallelism: false, ...limits },
      },
    ],
  },
});

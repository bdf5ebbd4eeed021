import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const rehearsal = fileURLToPath(new URL('../dist/threads/bulk-rehearsal.js', import.meta.url));

/** Compiled code and a collection at nearly any moment: what is not reachable is gone at once. */
test.each(['--gc-interval=200', '--stress-compaction'])(
  'the memory of a rehearsal is there to its end (%s)',
  (flag) => {
    const script = `import(${JSON.stringify(rehearsal)}).then(({ rehearseSending }) => {
      for (let i = 0; i < 12; i++) rehearseSending();
    })`;
    const { status, signal } = spawnSync(process.execPath, [flag, '-e', script]);
    expect({ status, signal }).toEqual({ status: 0, signal: null });
  },
);

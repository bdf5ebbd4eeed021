import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { inWorker } from './in-worker.ts';

test('a rehearsal ends, and leaves no descriptor and no memory behind', async () => {
  const before = readdirSync('/proc/self/fd').length;
  const { answer } = inWorker({
    modules: ['threads/rehearsal'],
    body: `
      const { readFileSync } = process.getBuiltinModule('node:fs');
      lib.rehearseRequests();
      lib.rehearseFaults();
      lib.rehearsePlacing('userfault');
      lib.rehearsePlacing('portable');
      return readFileSync('/proc/self/maps', 'utf8').includes('godwit rehearsal');`,
  });
  expect(await answer).toBe(false);
  expect(readFileSync('/proc/self/maps', 'utf8')).not.toContain('godwit rehearsal');
  expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before + EVENT_LOOP_DESCRIPTORS);
});

/** Of the worker's own event loop, which may not be gone yet. */
const EVENT_LOOP_DESCRIPTORS = 8;

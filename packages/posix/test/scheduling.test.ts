import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { requestShortSlice } from '../src/scheduling.ts';

test('a thread that asks for a short slice keeps its policy and its nice value', () => {
  const before = schedulingOf('self');
  expect(requestShortSlice(100)).toBe(true);
  expect(schedulingOf('self')).toEqual(before);
});

test('a nice value other than 0 survives as well', async () => {
  const entry = fileURLToPath(new URL('../dist/index.js', import.meta.url));
  const program = `
    const os = require('node:os');
    const { parentPort } = require('node:worker_threads');
    import(${JSON.stringify(entry)}).then((posix) => {
      os.setPriority(posix.threadId(), 7); // on Linux a thread has one of its own
      parentPort.postMessage([posix.requestShortSlice(100), os.getPriority(posix.threadId())]);
    });`;
  const worker = new Worker(program, { eval: true });
  onTestFinished(() => worker.terminate().then(() => undefined));
  const answer = await new Promise((resolve, reject) => {
    worker.on('message', resolve);
    worker.on('error', reject);
  });
  expect(answer).toEqual([true, 7]);
});

/** The nice value and the policy, fields 19 and 41 of /proc/PID/stat. */
function schedulingOf(process: string): (string | undefined)[] {
  const fields = readFileSync(`/proc/${process}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return [fields[19 - 3], fields[41 - 3]];
}

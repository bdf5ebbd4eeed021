import { readdirSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { threadCpuMicros, threadId } from '../src/process.ts';

test('the thread id is one of this process, and stays', () => {
  expect(readdirSync('/proc/self/task')).toContain(String(threadId()));
  expect(threadId()).toBe(threadId());
});

test('the process ends with the code, from a Worker too, and no exit handler runs', () => {
  const entry = fileURLToPath(new URL('../dist/index.js', import.meta.url));
  const inWorker = `import(${JSON.stringify(entry)}).then((posix) => posix.exitGroup(37));`;
  const program = `
    const { Worker } = require('node:worker_threads');
    process.on('exit', () => console.log('handler'));
    new Worker(${JSON.stringify(inWorker)}, { eval: true });
    setInterval(() => {}, 1000);`;
  const { status, stdout } = spawnSync(process.execPath, ['--eval', program], {
    encoding: 'utf8',
    timeout: 30_000,
  });
  expect({ status, stdout }).toEqual({ status: 37, stdout: '' });
});

test('the processor time of a thread grows as it works, and a thread that is none has none', () => {
  const before = threadCpuMicros(threadId());
  expect(before).toBeGreaterThan(0);
  const until = performance.now() + 20;
  while (performance.now() < until);
  const spent = (threadCpuMicros(threadId()) as number) - (before as number);
  expect(spent).toBeGreaterThan(0);
  expect(spent).toBeLessThan(performance.now() * 1000);
  expect(threadCpuMicros(1)).toBeUndefined(); // init, a thread of another process
});

import { readdirSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { threadId } from '../src/process.ts';

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

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';

import { QmpClient } from '@godwit/qmp';

/** Runs the build, as users do. */
const program = fileURLToPath(new URL('../bin/godwit.js', import.meta.url));
const processEnd = new URL('../dist/process-end.js', import.meta.url).href;

const directory = mkdtempSync(join(tmpdir(), 'godwit-guest-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A process whose end is waited for; `ready` resolves with its first line. */
function run(args: readonly string[]) {
  const child: ChildProcess = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const text = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (chunk: string) => {
      text[name] += chunk;
    });
  }
  const ended = once(child, 'close').then(([code]): Ended => ({ code: code as number, ...text }));
  const ready = async (): Promise<string> => {
    while (!text.stdout.includes('\n')) {
      if (child.exitCode !== null) throw new Error(text.stderr);
      await Promise.race([once(child.stdout ?? child, 'data'), ended]);
    }
    return text.stdout;
  };
  return { child, ended, ready, [Symbol.dispose]: () => void child.kill('SIGKILL') };
}

function runGuest(name: string, ...args: readonly string[]) {
  const socket = join(directory, `${name}.qmp`);
  const fixed = ['guest', '--name', name, '--memory', '16M', '--qmp', `unix:${socket}`];
  return { socket, qmp: `unix:${socket}`, ...run([program, ...fixed, ...args]) };
}

test('a guest says in one line where it answers and where it waits', async () => {
  using it = runGuest('one', '--qmp', 'tcp:127.0.0.1:0', '--incoming', 'tcp:127.0.0.1:0');
  expect(await it.ready()).toMatch(
    /^guest one: qmp unix:\S+one\.qmp tcp:127\.0\.0\.1:[1-9]\d* incoming tcp:127\.0\.0\.1:[1-9]\d*\n$/,
  );
});

test.each([
  ['without a guest that comes', [], /--incoming/],
  ['with RAM that ends with the process', ['--incoming', 'defer'], /--backing file:PATH/],
  [
    'in portable memory',
    ['--incoming', 'defer', '--backing', `file:${directory}/ram`, '--memory-mode', 'portable'],
    /--memory-mode userfault/,
  ],
] as const)('a journal %s is refused', async (_name, args, why) => {
  using it = runGuest('journal', '--journal', join(directory, 'journal'), ...args);
  const { code, stderr } = await it.ended;
  expect(code).toBe(2);
  expect(stderr).toMatch(why);
});

test('quit is answered, and leaves no socket file', async () => {
  const migration = join(directory, 'migration');
  using it = runGuest('quits', '--incoming', `unix:${migration}`);
  await it.ready();
  await using client = await QmpClient.connect(it.qmp);
  expect(existsSync(migration)).toBe(true);
  expect(await client.execute('quit')).toEqual({});
  expect(await it.ended).toMatchObject({ code: 0, stderr: '' });
  expect([existsSync(it.socket), existsSync(migration)]).toEqual([false, false]);
});

test.each(['SIGTERM', 'SIGINT'] as const)('%s is a quit', async (signal) => {
  using it = runGuest(signal);
  await it.ready();
  it.child.kill(signal);
  expect(await it.ended).toMatchObject({ code: 0, stderr: '' });
  expect(existsSync(it.socket)).toBe(false);
});

test('a guest whose complaints nobody hears any more goes on', async () => {
  using it = runGuest('unheard', '--receipt', join(directory, 'no', 'such', 'place'));
  await it.ready();
  it.child.stderr?.destroy();
  await using client = await QmpClient.connect(it.qmp);
  const capabilities = [{ capability: 'events', state: true }];
  await client.execute('migrate-set-capabilities', { capabilities });
  await client.execute('migrate', { uri: `unix:${directory}/nobody` }); // of which it has a receipt
  await client.waitForEvent(({ data }) => data?.['status'] === 'failed', { timeoutMillis: 10_000 });
  expect(await client.execute('query-status')).toMatchObject({ running: true });
  await client.execute('quit'); // which waits for the receipt
  expect(await it.ended).toMatchObject({ code: 0 });
});

test('a guest that waits for pages which never come ends all the same', async () => {
  using destination = runGuest('stuck', '--incoming', `unix:${join(directory, 'pages')}`);
  using source = runGuest('holds');
  await Promise.all([source.ready(), destination.ready()]);
  await using client = await QmpClient.connect(source.qmp);
  const on = ['events', 'postcopy-ram'].map((capability) => ({ capability, state: true }));
  await client.execute('migrate-set-capabilities', { capabilities: on });
  const slowly = { 'max-bandwidth': 1_000_000, 'max-postcopy-bandwidth': 1_000_000 };
  await client.execute('migrate-set-parameters', slowly);
  await client.execute('migrate', { uri: `unix:${join(directory, 'pages')}` });
  await client.execute('migrate-start-postcopy');
  const active = (status: string) =>
    client.waitForEvent(({ data }) => data?.['status'] === status, { timeoutMillis: 10_000 });
  await active('postcopy-active');
  await client.execute('migrate-pause');
  await active('postcopy-paused');
  const begun = performance.now();
  destination.child.kill('SIGTERM');
  expect(await destination.ended).toMatchObject({ code: 0, stderr: '' });
  expect(performance.now() - begun).toBeLessThan(4_000); // 2 s, on a machine that is busy
  expect(existsSync(join(directory, 'pages'))).toBe(false);
});

test.each([
  [['--vcpus', '99'], 'vcpus is 99, expected 1 to 64'],
  [['--fill', 'half'], "'half' is not a number"],
  [['--memory', '4097'], 'not a positive multiple of 4096'],
  [['--memory-mode', 'magic'], 'Allowed choices are userfault, portable'],
  [['--workload', 'sleep'], 'Allowed choices are sweep, random, zipf, idle'],
  [['--incoming', 'exec:cat'], 'must begin with tcp: or unix:'],
])('%j is wrong usage, said without a stack', async (args, text) => {
  using it = runGuest('never', ...args);
  const { code, stderr } = await it.ended;
  expect(code).toBe(2);
  expect(stderr).toContain(text);
  expect(stderr).not.toContain('    at ');
});

test('a guest that cannot listen says why and ends', async () => {
  using it = runGuest('lost', '--incoming', `unix:${directory}/nowhere/migration`);
  const { code, stderr } = await it.ended;
  expect(code).toBe(1);
  expect(stderr).toMatch(/^godwit guest lost: cannot listen on unix:\S+: .*\n$/);
  expect(existsSync(it.socket)).toBe(false);
});

test('a mistake of ours ends the process as a whole, and its socket files with it', async () => {
  const socket = join(directory, 'mistake');
  const script = `
    import { createServer } from 'node:net';
    import { Worker } from 'node:worker_threads';
    import { ProcessEnd } from ${JSON.stringify(processEnd)};
    const end = new ProcessEnd('godwit test');
    createServer().listen(${JSON.stringify(socket)}, () => {
      end.socketFiles.add(${JSON.stringify(socket)});
      // A thread that nothing wakes, as one that waits for a page.
      new Worker('Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)', { eval: true });
      console.log('ready');
      void Promise.reject(new Error('overlooked'));
    });`;
  using it = run(['--input-type=module', '--eval', script]);
  const { code, stderr } = await it.ended;
  expect(code).toBe(1);
  expect(stderr).toContain('godwit test: this is a bug Error: overlooked');
  expect(existsSync(socket)).toBe(false);
});

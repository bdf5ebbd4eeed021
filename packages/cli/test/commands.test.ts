import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type CommandTable, type JsonObject, QmpError, QmpServer } from '@godwit/qmp';
import { Command, CommanderError } from 'commander';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { registerDemo } from '../src/commands/demo.ts';
import { registerMigrate } from '../src/commands/migrate.ts';
import { registerQmp } from '../src/commands/qmp.ts';
import { registerRecover } from '../src/commands/recover.ts';
import { registerStatus } from '../src/commands/status.ts';
import { registerWhy } from '../src/commands/why.ts';

let directory: string;
let server: QmpServer;
let address: string;
/** What the process was told, in order. */
let calls: string[];
/** The statuses that a `migrate` leads to. */
let course: string[];
let info: JsonObject;

const commands: CommandTable = {
  'query-status': { run: () => ({ status: 'running', running: true }) },
  'query-migrate': { run: () => info },
  'query-migrate-capabilities': { run: () => [{ capability: 'events', state: true }] },
  'migrate-set-capabilities': {
    arguments: { capabilities: { type: 'list', of: { type: 'any' } } },
    run: (args) => void calls.push(`set ${JSON.stringify(args['capabilities'])}`),
  },
  'migrate-set-parameters': {
    arguments: {
      'max-bandwidth': { type: 'any', optional: true },
      'downtime-limit': { type: 'any', optional: true },
      'multifd-channels': { type: 'any', optional: true },
    },
    run: (args) => void calls.push(`parameters ${JSON.stringify(args)}`),
  },
  'migrate-start-postcopy': { run: () => void calls.push('start-postcopy') },
  'migrate-recover': {
    arguments: { uri: { type: 'str' } },
    run: (args) => void calls.push(`recover ${String(args['uri'])}`),
  },
  migrate: {
    arguments: { uri: { type: 'str' }, resume: { type: 'bool', optional: true } },
    run(args, context) {
      calls.push(`migrate ${JSON.stringify(args)}`);
      for (const status of course) context.server.emit('MIGRATION', { status });
      info = { ...info, status: course.at(-1) };
    },
  },
  refuse: {
    run() {
      throw new QmpError('DeviceNotFound', 'no such thing');
    },
  },
  echo: { arguments: { value: { type: 'any' } }, run: (args) => args },
};

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'commands-'));
  calls = [];
  course = ['setup', 'active', 'device', 'completed'];
  info = {};
  server = new QmpServer({ commands });
  address = await server.listen(`unix:${join(directory, 'qmp')}`);
});

afterEach(async () => {
  await server.close();
  await rm(directory, { recursive: true });
});

interface Outcome {
  readonly end: 'done' | 'failed' | 'wrong usage';
  readonly stdout: string;
  /** What went wrong, in the words that the user reads. */
  readonly message: string;
}

/** Runs a command in this process. */
async function godwit(...args: readonly string[]): Promise<Outcome> {
  const program = new Command('godwit').exitOverride();
  program.configureOutput({ writeErr: () => undefined });
  for (const register of [
    registerDemo,
    registerMigrate,
    registerQmp,
    registerRecover,
    registerStatus,
    registerWhy,
  ]) {
    register(program);
  }
  const log = vi.spyOn(console, 'log').mockImplementation(() => undefined);
  const printed = (): string => log.mock.calls.map(([line]) => `${String(line)}\n`).join('');
  try {
    await program.parseAsync(args, { from: 'user' });
    return { end: 'done', stdout: printed(), message: '' };
  } catch (error) {
    const end = error instanceof CommanderError ? 'wrong usage' : 'failed';
    return { end, stdout: printed(), message: (error as Error).message };
  } finally {
    log.mockRestore();
  }
}

/** The documents of a `--json`, one a line. */
function documents({ stdout }: Outcome): JsonObject[] {
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as JsonObject);
}

const eventsOn = { capability: 'events', state: true };
const postcopyOn = { capability: 'postcopy-ram', state: true };

describe('godwit qmp', () => {
  test('prints the reply as JSON', async () => {
    const { end, stdout } = await godwit('qmp', '--qmp', address, 'echo', '{"value": [1]}');
    expect(end).toBe('done');
    expect(JSON.parse(stdout)).toEqual({ value: [1] });
  });

  test('says class and reason of a refusal and fails', async () => {
    const { end, stdout, message } = await godwit('qmp', '--qmp', address, 'refuse');
    expect([end, stdout]).toEqual(['failed', '']);
    expect(message).toBe('DeviceNotFound: no such thing');
  });

  test.each([
    ['arguments that are not JSON', ['{']],
    ['arguments that are no object', ['[1]']],
    ['an argument too many', ['{}', 'more']],
  ])('takes %s for wrong usage', async (_case, args) => {
    const { end, message } = await godwit('qmp', '--qmp', address, 'echo', ...args);
    expect(end).toBe('wrong usage');
    expect(message).not.toBe('');
  });

  test('takes what is no address for wrong usage, and an address where nobody is for failure', async () => {
    const noAddress = await godwit('qmp', '--qmp', 'elsewhere', 'echo');
    expect(noAddress.end).toBe('wrong usage');
    expect(noAddress.message).toContain('must begin with tcp: or unix:');
    const nobody = await godwit('qmp', '--qmp', `unix:${directory}/nobody`, 'echo');
    expect(nobody.end).toBe('failed');
    expect(nobody.message).toContain('ENOENT');
  });
});

describe('godwit migrate', () => {
  test('follows the migration to its end, telling each status', async () => {
    const { end, stdout } = await godwit('migrate', '--qmp', address, 'unix:/there', '--wait');
    expect(end).toBe('done');
    expect(stdout.match(/[a-z-]+$/gm)).toEqual([...course, 'completed']);
    expect(calls).toEqual([`set ${JSON.stringify([eventsOn])}`, 'migrate {"uri":"unix:/there"}']);
  });

  test('with --json tells each step and the result, one document a line', async () => {
    const outcome = await godwit('migrate', '--qmp', address, 'unix:/there', '--wait', '--json');
    expect(outcome.end).toBe('done');
    const told = documents(outcome);
    expect(told.slice(0, -1).map(({ status }) => status)).toEqual(course);
    expect(told.at(-1)).toEqual({ result: 'completed', migrate: info });
  });

  test('with --json a failure is a result too, and still a failure', async () => {
    course = ['setup', 'failed'];
    const outcome = await godwit('migrate', '--qmp', address, 'unix:/there', '--wait', '--json');
    expect(outcome.end).toBe('failed');
    expect(documents(outcome).at(-1)).toMatchObject({ result: 'failed' });
  });

  test('sets limits that have units, before it begins', async () => {
    const limits = ['--max-bandwidth', '1Gbit/s', '--downtime-limit', '0.05s', '--channels', '4'];
    await godwit('migrate', '--qmp', address, 'unix:/there', ...limits);
    expect(calls.slice(0, 2)).toEqual([
      'parameters {"max-bandwidth":125000000,"downtime-limit":50,"multifd-channels":4}',
      `set ${JSON.stringify([eventsOn, { capability: 'multifd', state: true }])}`,
    ]);
  });

  test('with --postcopy asks for postcopy once the migration is active', async () => {
    course = ['setup', 'active'];
    const { end } = await godwit('migrate', '--qmp', address, 'unix:/there', '--postcopy');
    expect(end).toBe('done');
    expect(calls).toEqual([
      `set ${JSON.stringify([eventsOn, postcopyOn])}`,
      'migrate {"uri":"unix:/there"}',
      'start-postcopy',
    ]);
  });

  test('with --resume leaves the capabilities alone', async () => {
    course = ['postcopy-recover-setup', 'postcopy-recover', 'postcopy-active', 'completed'];
    const args = ['migrate', '--qmp', address, 'unix:/there', '--resume', '--wait', '--postcopy'];
    const { end } = await godwit(...args);
    expect(end).toBe('done');
    expect(calls).toEqual(['migrate {"uri":"unix:/there","resume":true}']);
  });

  test.each(['failed', 'cancelled', 'postcopy-paused'])(
    'that ends %s fails, and says why',
    async (status) => {
      course = ['setup', 'active', status];
      info = { 'error-desc': 'the reason' };
      const { end, message } = await godwit('migrate', '--qmp', address, 'unix:/there', '--wait');
      expect(end).toBe('failed');
      expect(message).toContain(`the migration is ${status}: the reason`);
      expect(message.includes('godwit recover')).toBe(status === 'postcopy-paused');
    },
  );

  test('with --postcopy that fails before it is active fails without being asked to wait', async () => {
    course = ['setup', 'failed'];
    info = { 'error-desc': 'nobody there' };
    const { end, message } = await godwit('migrate', '--qmp', address, 'unix:/x', '--postcopy');
    expect(end).toBe('failed');
    expect(message).toContain('nobody there');
    expect(calls).not.toContain('start-postcopy');
  });
});

describe('godwit recover', () => {
  test('resumes a paused source and waits until it is active', async () => {
    info = { status: 'postcopy-paused', ram: {} };
    course = ['postcopy-recover-setup', 'postcopy-recover', 'postcopy-active'];
    const { end, stdout } = await godwit('recover', '--qmp', address, 'unix:/there');
    expect(end).toBe('done');
    expect(calls).toEqual(['migrate {"uri":"unix:/there","resume":true}']);
    expect(stdout.match(/[a-z-]+$/gm)).toEqual(course);
  });

  test('fails when the source is paused again, and says why', async () => {
    info = { status: 'postcopy-paused', ram: {}, 'error-desc': 'connection refused' };
    course = ['postcopy-recover-setup', 'postcopy-paused'];
    const { end, message } = await godwit('recover', '--qmp', address, 'unix:/there');
    expect(end).toBe('failed');
    expect(message).toContain('not recovered, still paused: connection refused');
  });

  test('lets a paused destination listen there, and says what the source must do', async () => {
    const socketAddress = [{ type: 'inet', host: '127.0.0.1', port: '4321' }];
    info = { status: 'postcopy-paused', 'socket-address': socketAddress };
    const { end, stdout } = await godwit('recover', '--qmp', address, 'tcp:127.0.0.1:0');
    expect(end).toBe('done');
    expect(calls).toEqual(['recover tcp:127.0.0.1:0']);
    expect(stdout).toContain('godwit recover --qmp SOURCE tcp:127.0.0.1:4321');
  });

  test('refuses where nothing is paused', async () => {
    info = { status: 'completed' };
    const { end, message } = await godwit('recover', '--qmp', address, 'unix:/there');
    expect(end).toBe('failed');
    expect(message).toContain('the migration is not paused but completed');
    expect(calls).toEqual([]);
  });
});

describe('godwit status', () => {
  test('with --json repeats what QMP says, in one line', async () => {
    info = { status: 'active', 'total-time': 7 };
    const { end, stdout } = await godwit('status', '--qmp', address, '--json');
    expect(end).toBe('done');
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual([{ qmp: address, status: { status: 'running', running: true }, migrate: info }]);
  });

  test('of both sides is two tables, and two documents', async () => {
    info = { status: 'active' };
    const both = ['status', '--qmp', address, '--qmp', address];
    const { stdout } = await godwit(...both);
    expect(stdout).toBe(
      'guest         running\nmigration     active\n\nguest         running\nmigration     active\n',
    );
    expect(documents(await godwit(...both, '--json'))).toHaveLength(2);
    expect(await godwit(...both, '--qmp', address)).toMatchObject({ end: 'wrong usage' });
  });

  test('is a table for people otherwise', async () => {
    info = { status: 'active' };
    const { stdout } = await godwit('status', '--qmp', address);
    expect(stdout).toBe('guest         running\nmigration     active\n');
  });
});

describe('godwit why', () => {
  test('says that nothing runs where nothing runs', async () => {
    const { end, stdout } = await godwit('why', '--qmp', address, '--for', '50ms');
    expect(end).toBe('done');
    expect(stdout).toMatch(/^not-running: no migration is under way\n/);
  });

  test('with --json is one document', async () => {
    info = { status: 'postcopy-paused', 'error-desc': 'the link broke' };
    const outcome = await godwit('why', '--qmp', address, '--for', '50ms', '--json');
    expect(documents(outcome)).toMatchObject([
      { limit: 'paused', status: 'postcopy-paused', findings: [{ evidence: ['the link broke'] }] },
    ]);
  });
});

describe('godwit demo', () => {
  test.each([
    ['less memory than it needs', ['--memory', '1M'], 'at least 16.0 MiB'],
    ['a memory that is no size', ['--memory', 'much'], "'much' is not a size"],
    ['a workload there is not', ['--workload', 'nap'], 'sweep, random, zipf, idle'],
    ['half a cut', ['--cuts', '0.5'], 'a whole number from 0 to 100'],
    ['cuts in plain precopy', ['--precopy', '--cuts', '1'], 'cannot be used with'],
  ])('takes %s for wrong usage', async (_case, args, text) => {
    const { end, message } = await godwit('demo', ...args);
    expect(end).toBe('wrong usage');
    expect(message).toContain(text);
  });
});

import { afterAll, beforeAll, expect, test } from 'vitest';

import { introspect, type SchemaInfo } from '../src/introspection.ts';
import { MachineFixture } from './machine-fixture.ts';
import { SchemaWalker } from './schema-walker.ts';

let it: MachineFixture;
let infos: SchemaInfo[];
let walker: SchemaWalker;

beforeAll(async () => {
  it = await MachineFixture.open();
  infos = (await it.execute('query-qmp-schema')) as SchemaInfo[];
  walker = new SchemaWalker(infos);
});

afterAll(async () => await it[Symbol.asyncDispose]());

function find(name: string): SchemaInfo | undefined {
  return infos.find((info) => info.name === name);
}

test('every command and every event is told once, and every type that they lead to', async () => {
  walker.checkClosed();
  const commands = (await it.execute('query-commands')) as { name: string }[];
  for (const { name } of commands) expect(find(name)).toHaveProperty('meta-type', 'command');
  for (const name of ['STOP', 'RESUME', 'MIGRATION', 'MIGRATION_PASS']) {
    expect(find(name)).toHaveProperty('meta-type', 'event');
  }
});

test('the answer describes itself, and names of types say nothing', () => {
  walker.checkResult('query-qmp-schema', infos);
  const types = infos.filter(({ 'meta-type': meta }) => meta === 'object' || meta === 'enum');
  for (const { name } of types) expect(name).toMatch(/^\d+$/);
});

function memberType(command: string, member: string) {
  const args = find((find(command) as { 'arg-type': string })['arg-type']);
  const { members } = args as unknown as { members: { name: string; type: string }[] };
  return find(members.find(({ name }) => name === member)?.type ?? '');
}

test('out-of-band commands say so, others do not', () => {
  const oob = infos.filter((info) => info['meta-type'] === 'command' && info['allow-oob']);
  expect(oob.map(({ name }) => name).toSorted()).toEqual([
    'migrate-pause',
    'migrate-recover',
    'query-yank',
    'yank',
  ]);
});

test('what a command takes is told as it is checked; what is refused by name is not told', () => {
  const migrate = find('migrate');
  const args = find((migrate as { 'arg-type': string })['arg-type']);
  expect(args).toMatchObject({
    'meta-type': 'object',
    members: [
      { name: 'uri', type: 'str', default: null },
      { name: 'channels', type: expect.stringMatching(/^\[\d+\]$/), default: null },
      { name: 'resume', type: 'bool', default: null },
      { name: 'detach', type: 'bool', default: null },
    ],
  });
  const compression = memberType('migrate-set-parameters', 'multifd-compression');
  expect(compression).toMatchObject({ 'meta-type': 'enum', values: ['none', 'zlib'] });
  const set = find('migrate-set-parameters');
  const parameters = find((set as { 'arg-type': string })['arg-type']);
  const names = (parameters as { members: readonly { name: string }[] }).members.map(
    ({ name }) => name,
  );
  expect(names).toContain('max-bandwidth');
  expect(names).not.toContain('block-bitmap-mapping');
});

test.each([
  'query-version',
  'query-commands',
  'query-name',
  'query-status',
  'query-migrate',
  'query-migrate-capabilities',
  'query-migrate-parameters',
  'query-yank',
  'x-query-guest-ram',
])('what %s returns is of the type that it tells', async (command) => {
  const result = await it.execute(command);
  expect(() => walker.checkResult(command, result)).not.toThrow();
});

test('a command without a schema of either kind takes and returns nothing', () => {
  expect(introspect({ nothing: { run: () => undefined } }, {})).toEqual([
    { name: 'nothing', 'meta-type': 'command', 'arg-type': '0', 'ret-type': '0' },
    { name: '0', 'meta-type': 'object', members: [] },
  ]);
});

test('types that look the same are one, and a union tells what each tag adds', () => {
  const address = {
    type: 'union',
    tag: 'kind',
    variants: {
      near: { type: 'object', members: {} },
      far: { type: 'object', members: { miles: { type: 'size' } } },
    },
    unsupported: ['beyond'],
  } as const;
  const command = { arguments: { from: address, to: address }, run: () => undefined };
  expect(introspect({ go: command }, {}).filter(({ name }) => name !== 'go')).toEqual([
    {
      name: '0',
      'meta-type': 'enum',
      members: [{ name: 'near' }, { name: 'far' }],
      values: ['near', 'far'],
    },
    { name: '1', 'meta-type': 'object', members: [] },
    { name: 'int', 'meta-type': 'builtin', 'json-type': 'int' },
    { name: '2', 'meta-type': 'object', members: [{ name: 'miles', type: 'int' }] },
    {
      name: '3',
      'meta-type': 'object',
      members: [{ name: 'kind', type: '0' }],
      tag: 'kind',
      variants: [
        { case: 'near', type: '1' },
        { case: 'far', type: '2' },
      ],
    },
    {
      name: '4',
      'meta-type': 'object',
      members: [
        { name: 'from', type: '3' },
        { name: 'to', type: '3' },
      ],
    },
  ]);
});

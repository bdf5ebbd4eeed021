import fc from 'fast-check';
import { expect, test } from 'vitest';
import { defineCommand } from '../src/command-table.ts';
import type { CommandContext, CommandTable } from '../src/command-table.ts';
import { runRequest } from '../src/request.ts';

const ran: object[] = [];

const commands: CommandTable = {
  stop: { run: () => void ran.push({}) },
  migrate: defineCommand({
    arguments: {
      uri: { type: 'str' },
      resume: { type: 'bool', optional: true },
      bandwidth: { type: 'size', optional: true },
      channels: {
        type: 'list',
        optional: true,
        of: { type: 'object', members: { port: { type: 'int' } } },
      },
    },
    run: (args) => void ran.push(args),
  }),
};

const context = {
  client: { oobEnabled: true },
} as unknown as CommandContext; // these commands look at no more of it

const json = fc.jsonValue({ maxDepth: 4 });
/** Words that mean something at a place or another, and any. */
const word = fc.constantFrom(
  'execute',
  'exec-oob',
  'arguments',
  'id',
  'stop',
  'migrate',
  '__proto__',
  'constructor',
);
const name = fc.constantFrom(
  'uri',
  'resume',
  'bandwidth',
  'channels',
  'port',
  '__proto__',
  'other',
);
const scalar = fc.oneof(json, fc.constantFrom('', 'tcp:0:0', 0, -1, 2 ** 53, 1.5, true, null));
const members = fc.dictionary(name, fc.oneof(scalar, fc.array(fc.dictionary(name, scalar))));
const request = fc.oneof(
  json,
  fc.dictionary(fc.oneof(word, fc.string()), fc.oneof(word, members, json)),
  fc.record(
    { execute: fc.oneof(word, fc.string()), arguments: fc.oneof(members, json), id: json },
    { requiredKeys: ['execute'] },
  ),
);

/** As the line would be read: what JSON can say. */
const read = (value: unknown): unknown => JSON.parse(JSON.stringify(value)) as unknown;

test('whatever JSON a client sends, it has one reply with its id, and no command runs that is not whole', async () => {
  const replies = new Set<string>();
  await fc.assert(
    fc.asyncProperty(request, async (drawn) => {
      const value = read(drawn);
      ran.length = 0;
      const text = await runRequest(value, commands, context);
      const reply = JSON.parse(text) as { error?: { class: string; desc: string }; id?: unknown };
      expect(text.trimEnd()).not.toContain('\n');
      if (isObject(value) && Object.hasOwn(value, 'id')) expect(reply.id).toEqual(value['id']);
      else expect(reply).not.toHaveProperty('id');
      replies.add(reply.error?.class ?? 'return');
      if (reply.error === undefined) return expectWhole(value);
      expect(['GenericError', 'CommandNotFound']).toContain(reply.error.class);
      expect(reply.error.desc).not.toBe('');
      expect(ran).toEqual([]);
    }),
    { numRuns: 2000 },
  );
  expect([...replies].toSorted()).toEqual(['CommandNotFound', 'GenericError', 'return']);
});

function expectWhole(value: unknown): void {
  expect(ran).toHaveLength(1);
  const asked = value as Record<string, unknown>;
  expect(asked['execute'] ?? asked['exec-oob']).toMatch(/^(stop|migrate)$/);
  if (asked['execute'] === 'migrate') expect(ran[0]).toHaveProperty('uri', expect.any(String));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

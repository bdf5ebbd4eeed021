import { expect, expectTypeOf, test } from 'vitest';

import { type ArgumentsOf, type ArgumentsSchema, checkArguments } from '../src/arguments.ts';
import { defineCommand } from '../src/command-table.ts';
import { QmpError } from '../src/errors.ts';

const schema = {
  uri: { type: 'str' },
  resume: { type: 'bool', optional: true },
  count: { type: 'int', optional: true },
  bandwidth: { type: 'size', optional: true },
  ratio: { type: 'number', optional: true },
  mode: { type: 'str', values: ['normal', 'fast'], optional: true },
  extra: { type: 'any', optional: true },
  free: { type: 'object', optional: true },
  channels: {
    type: 'list',
    optional: true,
    of: {
      type: 'object',
      members: { addr: { type: 'str' }, port: { type: 'int', optional: true } },
    },
  },
} as const satisfies ArgumentsSchema;

function refusal(values: string): string {
  try {
    checkArguments(schema, JSON.parse(values) as Record<string, unknown>);
  } catch (error) {
    expect(error).toBeInstanceOf(QmpError);
    expect(error).toHaveProperty('class', 'GenericError');
    return (error as QmpError).desc;
  }
  return 'accepted';
}

test.each([
  '{"uri":"tcp:a:1"}',
  '{"uri":"","resume":true,"count":-1,"bandwidth":0,"ratio":0.5,"mode":"fast","extra":null}',
  '{"uri":"x","free":{"anything":[1]},"channels":[{"addr":"a"},{"addr":"b","port":2}]}',
  '{"uri":"x","bandwidth":9007199254740991,"channels":[]}',
])('%s is accepted', (values) => {
  expect(refusal(values)).toBe('accepted');
});

test.each([
  ['{}', "Parameter 'uri' is missing"],
  ['{"uri":"x","speed":1}', "Parameter 'speed' is unexpected"],
  ['{"uri":"x","__proto__":1}', "Parameter '__proto__' is unexpected"],
  ['{"uri":"x","constructor":1}', "Parameter 'constructor' is unexpected"],
  ['{"uri":1}', "Invalid parameter type for 'uri', expected: string"],
  ['{"uri":null}', "Invalid parameter type for 'uri', expected: string"],
  ['{"uri":"x","resume":"on"}', "Invalid parameter type for 'resume', expected: boolean"],
  ['{"uri":"x","count":1.5}', "Invalid parameter type for 'count', expected: integer"],
  ['{"uri":"x","count":9007199254740993}', "Invalid parameter type for 'count', expected: integer"],
  ['{"uri":"x","bandwidth":-1}', "Parameter 'bandwidth' expects uint64"],
  ['{"uri":"x","bandwidth":"1M"}', "Parameter 'bandwidth' expects uint64"],
  ['{"uri":"x","ratio":"1"}', "Invalid parameter type for 'ratio', expected: number"],
  ['{"uri":"x","ratio":1e999}', "Invalid parameter type for 'ratio', expected: number"],
  ['{"uri":"x","mode":"slow"}', "Parameter 'mode' does not accept value 'slow'"],
  ['{"uri":"x","free":[]}', "Invalid parameter type for 'free', expected: object"],
  ['{"uri":"x","channels":{}}', "Invalid parameter type for 'channels', expected: array"],
  ['{"uri":"x","channels":[1]}', "Invalid parameter type for 'channels[0]', expected: object"],
  ['{"uri":"x","channels":[{"addr":"a"},{}]}', "Parameter 'channels[1].addr' is missing"],
  ['{"uri":"x","channels":[{"addr":"a","x":1}]}', "Parameter 'channels[0].x' is unexpected"],
])('%s is refused: %s', (values, desc) => {
  expect(refusal(values)).toBe(desc);
});

test('a command sees its arguments typed by its schema', () => {
  expectTypeOf<ArgumentsOf<typeof schema>['uri']>().toEqualTypeOf<string>();
  expectTypeOf<ArgumentsOf<typeof schema>['mode']>().toEqualTypeOf<'normal' | 'fast' | undefined>();
  const command = defineCommand({
    arguments: { uri: { type: 'str' }, resume: { type: 'bool', optional: true } },
    run(args) {
      // @ts-expect-error uri is a string
      const wrong: number = args.uri;
      const resume: boolean | undefined = args.resume;
      return [wrong, resume];
    },
  });
  expect(command.arguments).toHaveProperty('uri');
});

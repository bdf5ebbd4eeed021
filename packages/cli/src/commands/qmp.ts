import { isJsonObject, type JsonObject, QmpError } from '@godwit/qmp';
import { type Command, InvalidArgumentError } from 'commander';

import { addQmpOption, connectQmp, type QmpOption } from '../qmp-option.ts';
import { teach } from '../teach.ts';

interface CommandOptions extends QmpOption {
  readonly json?: true;
}

/** `godwit qmp`: one command, one reply. */
export function registerQmp(program: Command): void {
  const command = addQmpOption(program.command('qmp'))
    .description('send one QMP command and print the reply as JSON')
    .argument('<command>', 'for example query-migrate; query-commands lists them')
    .argument('[arguments]', 'a JSON object', parseArguments)
    .option('--json', 'the reply on one line')
    .action(async (name: string, args: JsonObject | undefined, options: CommandOptions) => {
      await using client = await connectQmp(options);
      try {
        const reply = await client.execute(name, args);
        console.log(JSON.stringify(reply, undefined, options.json === true ? 0 : 2));
      } catch (error) {
        if (!(error instanceof QmpError)) throw error;
        throw new Error(`${error.class}: ${error.desc}`, { cause: error });
      }
    });
  const qmp = 'godwit qmp --qmp unix:/tmp/a.qmp';
  teach(command, [
    ['what can it do?', `${qmp} query-commands`],
    ['how does the migration stand?', `${qmp} query-migrate`],
    ['more bandwidth, at once', `${qmp} migrate-set-parameters '{"max-bandwidth": 1000000000}'`],
    ['where do pages lack?', `${qmp} x-query-page-map '{"cells": 64}'`],
  ]);
}

function parseArguments(text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text);
    if (isJsonObject(value)) return value;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new InvalidArgumentError(error.message);
  }
  throw new InvalidArgumentError('expected a JSON object such as \'{"uri": "unix:/run/a"}\'');
}

import { isJsonObject, type JsonObject, QmpError } from '@godwit/qmp';
import { type Command, InvalidArgumentError } from 'commander';

import { addQmpOption, connectQmp, type QmpOption } from '../qmp-option.ts';

/** `godwit qmp`: one command, one reply. */
export function registerQmp(program: Command): void {
  addQmpOption(program.command('qmp'))
    .description('send one QMP command and print the reply as JSON')
    .argument('<command>', 'for example query-migrate; query-commands lists them')
    .argument('[arguments]', 'a JSON object', parseArguments)
    .action(async (command: string, args: JsonObject | undefined, options: QmpOption) => {
      await using client = await connectQmp(options);
      try {
        console.log(JSON.stringify(await client.execute(command, args), undefined, 2));
      } catch (error) {
        if (!(error instanceof QmpError)) throw error;
        throw new Error(`${error.class}: ${error.desc}`, { cause: error });
      }
    });
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

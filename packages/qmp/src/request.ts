import { checkArguments, isJsonObject, type JsonObject } from './arguments.ts';
import type { CommandContext, CommandTable } from './command-table.ts';
import { messageOf, QmpError } from './errors.ts';
import { encodeMessage, errorReply, type QmpReply } from './messages.ts';

/** What a client asks for, its shape checked. */
export interface Request {
  readonly command: string;
  readonly oob: boolean;
  readonly arguments: JsonObject;
}

/**
 * @param oobEnabled whether this client has negotiated `oob`; without it `exec-oob` is unknown.
 * @throws {QmpError} GenericError, with QEMU's text.
 * @see QEMU qapi/qmp-dispatch.c, qmp_dispatch_check_obj.
 */
export function parseRequest(value: unknown, oobEnabled: boolean): Request {
  if (!isJsonObject(value)) throw refuse('QMP input must be a JSON object');
  let key: string | undefined;
  let command = '';
  let args: JsonObject = {};
  for (const [name, member] of Object.entries(value)) {
    if (name === 'execute' || (name === 'exec-oob' && oobEnabled)) {
      if (typeof member !== 'string') throw refuse(`QMP input member '${name}' must be a string`);
      if (key !== undefined) throw refuse(`QMP input member '${name}' clashes with '${key}'`);
      key = name;
      command = member;
    } else if (name === 'arguments') {
      if (!isJsonObject(member)) throw refuse("QMP input member 'arguments' must be an object");
      args = member;
    } else if (name !== 'id') {
      throw refuse(`QMP input member '${name}' is unexpected`);
    }
  }
  if (key === undefined) throw refuse("QMP input lacks member 'execute'");
  return { command, oob: key === 'exec-oob', arguments: args };
}

/** Whether the input claims to run out of band; parseRequest says later whether it may. */
export function looksOutOfBand(value: unknown): boolean {
  return (
    isJsonObject(value) && Object.hasOwn(value, 'exec-oob') && !Object.hasOwn(value, 'execute')
  );
}

/** Runs one request; its failure is a reply like any other. */
export async function runRequest(
  value: unknown,
  commands: CommandTable,
  context: CommandContext,
): Promise<string> {
  try {
    const request = parseRequest(value, context.client.oobEnabled);
    const command = Object.hasOwn(commands, request.command)
      ? commands[request.command]
      : undefined;
    if (command === undefined) throw commandNotFound(request.command);
    if (request.oob && command.oob !== true) {
      throw refuse(`The command ${request.command} does not support OOB`);
    }
    checkArguments(command.arguments ?? {}, request.arguments);
    const result = await command.run(request.arguments, context);
    return encodeReply({ return: result === undefined ? {} : result }, value);
  } catch (error) {
    return encodeReply(errorReply(toQmpError(error)), value);
  }
}

/** @throws {TypeError} as encodeMessage does. */
export function encodeReply(reply: QmpReply, request: unknown): string {
  const hasId = isJsonObject(request) && Object.hasOwn(request, 'id');
  return encodeMessage(hasId ? { ...reply, id: request['id'] } : reply);
}

export function toQmpError(error: unknown): QmpError {
  if (error instanceof QmpError) return error;
  return new QmpError('GenericError', messageOf(error), { cause: error });
}

export function commandNotFound(name: string): QmpError {
  return new QmpError('CommandNotFound', `The command ${name} has not been found`);
}

function refuse(desc: string): QmpError {
  return new QmpError('GenericError', desc);
}

import type { ArgumentsOf, ArgumentsSchema, ArgumentSpec, JsonObject } from './arguments.ts';

/** One connected client, as handlers and event filters see it. */
export interface ClientHandle {
  /** Counts up from 1 for the life of the server. */
  readonly id: number;
  /** The greeting is answered: the client gets events and may send commands. */
  readonly negotiated: boolean;
  readonly oobEnabled: boolean;
}

/** The server, as handlers see it. */
export interface ServerHandle {
  /**
   * Sends an event to every client that has negotiated (and passes `filter`), before the reply
   * of a command that is still running.
   */
  emit(event: string, data?: object, filter?: (client: ClientHandle) => boolean): void;
  /**
   * Stops listening and lets every client go. A handler (`quit`) calls it without awaiting: its
   * own reply is still sent.
   */
  close(): Promise<void>;
}

export interface CommandContext {
  readonly client: ClientHandle;
  readonly server: ServerHandle;
}

export interface Command {
  /**
   * May be sent as `exec-oob`: it then overtakes the queue and runs beside the command under way,
   * so it must not wait for that one and must be safe in the middle of it.
   */
  readonly oob?: boolean;
  /** Left out: the command takes none. */
  readonly arguments?: ArgumentsSchema;
  /** What `run` returns, for query-qmp-schema. Left out: nothing. */
  readonly returns?: ArgumentSpec;
  /**
   * @param args have passed `arguments`.
   * @returns anything JSON can hold; undefined is sent as `{}`.
   * @throws {QmpError} sent as it is; any other Error as a GenericError with its message.
   */
  run(args: JsonObject, context: CommandContext): unknown;
}

export type CommandTable = Readonly<Record<string, Command>>;

/** Events by name, with what their `data` holds. */
export type EventTable = Readonly<Record<string, ArgumentsSchema>>;

export interface TypedCommand<Schema extends ArgumentsSchema> extends Command {
  readonly arguments: Schema;
  run(args: ArgumentsOf<Schema>, context: CommandContext): unknown;
}

/** Writes a command whose `run` gets its arguments typed from its own schema. */
export function defineCommand<const Schema extends ArgumentsSchema>(
  command: TypedCommand<Schema>,
): Command {
  // The server calls run only with arguments that have passed this schema, which is what their
  // type says; methods are compared bivariantly, so no cast is needed.
  return command;
}

/** The error classes of QMP; most errors are a GenericError, told apart by state, not by text. */
export const qmpErrorClasses = {
  GenericError: 'everything that has no class of its own',
  CommandNotFound: 'no such command, or not in this mode of the connection',
  DeviceNotActive: 'the device is there and not active',
  DeviceNotFound: 'no such device',
  KVMMissingCap: 'the host kernel lacks a capability',
} as const;

export type QmpErrorClass = keyof typeof qmpErrorClasses;

/**
 * A command was refused or has failed: thrown by handlers in the server, and by the client when
 * the server says so.
 *
 * @see QEMU qapi/error.json, QapiErrorClass.
 */
export class QmpError extends Error {
  override readonly name = 'QmpError';
  readonly class: QmpErrorClass;
  /** What the human reads; never match on it. */
  readonly desc: string;

  constructor(errorClass: QmpErrorClass, desc: string, options?: ErrorOptions) {
    super(desc, options);
    this.class = errorClass;
    this.desc = desc;
  }
}

export const qmpSocketErrorCodes = {
  ERR_ADDRESS_IN_USE: 'the server cannot listen: somebody else has the address',
  ERR_NOT_LOOPBACK: 'the server cannot listen: QMP is not encrypted and stays on this machine',
  ERR_LISTEN: 'the server cannot listen: the operating system refuses',
  ERR_CONNECT: 'the client cannot connect; nothing was sent',
  ERR_PROTOCOL: 'the peer does not speak QMP as we know it; the connection is closed',
  ERR_LOST: 'the connection broke; a command under way may have been carried out or not',
  ERR_CLOSED: 'this side has closed the connection',
  ERR_TIMEOUT: 'no answer in time; a command under way may still be carried out',
  ERR_EVENTS_DROPPED: 'the reader of events was too slow, some are gone from the log',
} as const;

/** The connection is at fault, not the command. */
export class QmpSocketError extends Error {
  override readonly name = 'QmpSocketError';
  readonly code: keyof typeof qmpSocketErrorCodes;

  constructor(code: keyof typeof qmpSocketErrorCodes, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What was thrown, as it is when it is an Error. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown });
}

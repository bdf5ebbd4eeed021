import type { QmpError, QmpErrorClass } from './errors.ts';

/** Answers query-version and stands in the greeting. */
export interface QmpVersion {
  readonly qemu: { readonly major: number; readonly minor: number; readonly micro: number };
  /** Who really answers. */
  readonly package: string;
}

/** The QEMU whose commands and states we follow; management tools look at it. */
export const DEFAULT_VERSION: QmpVersion = {
  qemu: { micro: 0, minor: 0, major: 10 },
  package: 'godwit 0.1.0',
};

export interface QmpGreeting {
  readonly QMP: { readonly version: QmpVersion; readonly capabilities: readonly string[] };
}

export interface QmpEvent {
  /** Of the sender's wall clock. */
  readonly timestamp: { readonly seconds: number; readonly microseconds: number };
  readonly event: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

export type QmpReply = ({ readonly return: unknown } | { readonly error: QmpErrorBody }) & {
  readonly id?: unknown;
};

export interface QmpErrorBody {
  readonly class: QmpErrorClass;
  readonly desc: string;
}

export function greeting(version: QmpVersion): QmpGreeting {
  return { QMP: { version, capabilities: ['oob'] } };
}

export function errorReply(error: QmpError): QmpReply {
  return { error: { class: error.class, desc: error.desc } };
}

/** @param unixMillis when it happened. */
export function eventMessage(event: string, data: object | undefined, unixMillis: number): object {
  const timestamp = {
    seconds: Math.floor(unixMillis / 1000),
    microseconds: Math.floor((unixMillis % 1000) * 1000),
  };
  return data === undefined ? { timestamp, event } : { timestamp, event, data };
}

/**
 * One line, ended as QEMU ends its lines.
 *
 * @throws {TypeError} the message holds what JSON cannot: a bigint, a cycle.
 */
export function encodeMessage(message: object): string {
  return `${JSON.stringify(message)}\r\n`;
}

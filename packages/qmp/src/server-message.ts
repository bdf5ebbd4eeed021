import { isJsonObject, type JsonObject } from './arguments.ts';
import { QmpError, qmpErrorClasses, QmpSocketError, type QmpErrorClass } from './errors.ts';
import type { QmpEvent, QmpGreeting } from './messages.ts';

/** Whatever a server sends. */
export type ServerMessage =
  | { readonly type: 'greeting'; readonly greeting: QmpGreeting }
  | { readonly type: 'event'; readonly event: QmpEvent }
  | { readonly type: 'return'; readonly id: unknown; readonly value: unknown }
  | { readonly type: 'error'; readonly id: unknown; readonly error: QmpError };

/** @throws {QmpSocketError} `ERR_PROTOCOL`: it is none of the above. */
export function parseServerMessage(value: unknown): ServerMessage {
  if (isJsonObject(value)) {
    if (isJsonObject(value['QMP'])) {
      return { type: 'greeting', greeting: parseGreeting(value['QMP']) };
    }
    if (typeof value['event'] === 'string') {
      return { type: 'event', event: parseEvent(value, value['event']) };
    }
    if (isJsonObject(value['error'])) {
      return { type: 'error', id: value['id'], error: parseError(value['error']) };
    }
    if (Object.hasOwn(value, 'return')) {
      return { type: 'return', id: value['id'], value: value['return'] };
    }
  }
  throw notQmp(value);
}

/** @throws {QmpSocketError} `ERR_PROTOCOL`. */
function parseGreeting(body: JsonObject): QmpGreeting {
  const { version, capabilities } = body;
  const qemu = isJsonObject(version) ? version['qemu'] : undefined;
  if (!isJsonObject(version) || !isJsonObject(qemu) || !Array.isArray(capabilities)) {
    throw notQmp({ QMP: body });
  }
  return {
    QMP: {
      version: {
        qemu: {
          major: Number(qemu['major']),
          minor: Number(qemu['minor']),
          micro: Number(qemu['micro']),
        },
        package: String(version['package']),
      },
      capabilities: capabilities.map(String),
    },
  };
}

function parseEvent(message: JsonObject, event: string): QmpEvent {
  const { timestamp, data } = message;
  const time = isJsonObject(timestamp) ? timestamp : {};
  return {
    timestamp: { seconds: Number(time['seconds']), microseconds: Number(time['microseconds']) },
    event,
    ...(isJsonObject(data) ? { data } : {}),
  };
}

/** A class that a newer server may have is a GenericError here: it matters to nobody by name. */
function parseError(body: JsonObject): QmpError {
  const errorClass = isErrorClass(body['class']) ? body['class'] : 'GenericError';
  return new QmpError(errorClass, String(body['desc']));
}

function isErrorClass(value: unknown): value is QmpErrorClass {
  return typeof value === 'string' && Object.hasOwn(qmpErrorClasses, value);
}

function notQmp(value: unknown): QmpSocketError {
  const shown = (JSON.stringify(value) ?? '').slice(0, 100);
  return new QmpSocketError('ERR_PROTOCOL', `this is not QMP: ${shown}`);
}

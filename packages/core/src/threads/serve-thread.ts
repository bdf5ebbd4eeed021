import assert from 'node:assert/strict';
import { type MessagePort, parentPort, receiveMessageOnPort } from 'node:worker_threads';
import { threadId } from '@godwit/posix';
import { endMessage } from './end-message.ts';
import type { CommandMessage, Commands, ThreadFailure, ThreadMessage } from './thread.ts';

type Handlers<C extends Commands> = {
  readonly [K in keyof C]: (argument: C[K]['argument']) => C[K]['answer'];
};

/** The worker's half of `Thread`: runs each command as it comes, one after the other. */
export function serveThread<C extends Commands>(handlers: Handlers<C>): void {
  const port = mainPort();
  port.postMessage({ type: 'started', threadId: threadId() } satisfies ThreadMessage);
  port.on('message', (message: CommandMessage | typeof endMessage) => {
    if (message === endMessage) port.close();
    else runCommand(handlers, message);
  });
}

/**
 * For a loop that never returns to its event loop: runs the commands that have come meanwhile.
 *
 * @returns whether the thread shall go on.
 */
export function servePending<C extends Commands>(handlers: Handlers<C>): boolean {
  const port = mainPort();
  for (;;) {
    const received: { message: CommandMessage | typeof endMessage } | undefined =
      receiveMessageOnPort(port);
    if (received === undefined) return true;
    if (received.message === endMessage) return false;
    runCommand(handlers, received.message);
  }
}

/**
 * Tells the main thread something it did not ask for.
 *
 * @param handedOver memory within it that this thread has no more to do with.
 */
export function tell(event: unknown, handedOver: readonly ArrayBuffer[] = []): void {
  mainPort().postMessage({ type: 'event', event } satisfies ThreadMessage, handedOver);
}

export function describeFailure(error: unknown): ThreadFailure {
  if (!(error instanceof Error)) return { code: undefined, message: String(error) };
  const code = (error as { code?: unknown }).code;
  return { code: typeof code === 'string' ? code : undefined, message: error.message };
}

function runCommand<C extends Commands>(handlers: Handlers<C>, message: CommandMessage): void {
  const port = mainPort();
  const { id, command, argument } = message;
  try {
    const answer = handlers[command]?.(argument);
    port.postMessage({ type: 'answer', id, answer } satisfies ThreadMessage);
  } catch (error) {
    const failure = describeFailure(error);
    port.postMessage({ type: 'failure', id, failure } satisfies ThreadMessage);
  }
}

function mainPort(): MessagePort {
  assert(parentPort !== null);
  return parentPort;
}

import { exitGroup } from '@godwit/posix';

import type { SideCommands } from './side-api.ts';

export interface CommandMessage {
  readonly id: number;
  readonly command: string;
  readonly argument: unknown;
}

export type AnswerMessage =
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly failure: string };

export type SideHandlers<C extends SideCommands> = {
  readonly [K in keyof C]: (argument: C[K]['argument']) => Promise<C[K]['answer']>;
};

/** The child's half of `SideProcess`: obeys until the parent lets go of it, or dies. */
export function serveSide<C extends SideCommands>(handlers: SideHandlers<C>): void {
  process.on('message', (message: CommandMessage) => void obey(handlers, message));
  // Threads may hang in the kernel, for bytes or for pages that never come: all end at once.
  process.on('disconnect', () => exitGroup(0));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => undefined); // a terminal sends it to the group: the parent decides
  }
}

async function obey<C extends SideCommands>(
  handlers: SideHandlers<C>,
  { id, command, argument }: CommandMessage,
): Promise<void> {
  try {
    reply({ id, answer: await handlers[command]?.(argument) });
  } catch (error) {
    reply({ id, failure: error instanceof Error ? error.message : String(error) });
  }
}

function reply(message: AnswerMessage): void {
  process.send?.(message);
}

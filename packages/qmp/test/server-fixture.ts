import { afterEach, beforeEach } from 'vitest';
import { type CommandTable, defineCommand } from '../src/command-table.ts';
import { OUTPUT_BYTES_MAX } from '../src/connection.ts';
import { QmpError } from '../src/errors.ts';
import { QmpServer } from '../src/server.ts';
import { useSocketPath } from './socket-path.ts';

/** A server whose commands a test can hold back, and what has come of them. */
export interface ServerFixture {
  readonly server: QmpServer;
  readonly address: string;
  readonly commands: CommandTable;
  /** What the commands have done, in order. */
  readonly done: string[];
  /** Lets the oldest `hold` command return. */
  readonly release: (() => void)[];
}

/** A new one for each test of a file. */
export function useServer(): ServerFixture {
  const socket = useSocketPath();
  // Whole before a test looks at it.
  const it = {} as { -readonly [Name in keyof ServerFixture]: ServerFixture[Name] };
  beforeEach(async () => {
    const [done, release]: [string[], (() => void)[]] = [[], []];
    const commands = commandsThat(done, release);
    const server = new QmpServer({ commands });
    const address = await server.listen(`unix:${socket.path}`);
    Object.assign(it, { server, address, commands, done, release });
  });
  afterEach(async () => {
    for (const letGo of it.release) letGo();
    await it.server.close();
  });
  return it;
}

function commandsThat(done: string[], release: (() => void)[]): CommandTable {
  return {
    note: defineCommand({
      arguments: { text: { type: 'str' } },
      run(args, { client }) {
        done.push(`${client.id}:${args.text}`);
        return { noted: args.text };
      },
    }),
    hold: {
      async run(_, { client }) {
        done.push(`${client.id}:hold`);
        await new Promise<void>((resolve) => release.push(resolve));
        done.push(`${client.id}:released`);
      },
    },
    overtake: { oob: true, run: () => 'overtaken' },
    linger: {
      oob: true,
      run: () => new Promise<void>((resolve) => release.push(resolve)),
    },
    fail: {
      run() {
        throw new Error('the world is at fault');
      },
    },
    missing: {
      run() {
        throw new QmpError('DeviceNotFound', "Device 'x' not found");
      },
    },
    unspeakable: { run: () => 1n },
    blob: { run: () => 'x'.repeat(2 * OUTPUT_BYTES_MAX) },
    announce: {
      run(_, context) {
        context.server.emit('ANNOUNCED', { by: context.client.id });
      },
    },
    quit: {
      run(_, context) {
        void context.server.close();
      },
    },
  };
}

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { QmpClient } from '../src/client.ts';
import { machineCommands } from '../src/machine/machine-commands.ts';
import { machineEvents } from '../src/machine/machine-events.ts';
import { Machine, type MachineOptions } from '../src/machine/machine.ts';
import { QmpServer } from '../src/server.ts';
import { FakeGuest } from './fake-guest.ts';
import { SchemaWalker } from './schema-walker.ts';

const LIMIT_MILLIS = 10_000;

/** A machine behind a real QMP socket, with a client that notes its events. */
export class MachineFixture implements AsyncDisposable {
  readonly guest: FakeGuest;
  readonly machine: Machine;
  readonly client: QmpClient;
  /** `STOP`, `MIGRATION active`, `MIGRATION_PASS 1`, … as they came. */
  readonly events: string[] = [];
  readonly quits: number[] = [];
  readonly directory: string;
  readonly #server: QmpServer;
  readonly #schema: SchemaWalker;

  static async open(
    options: Partial<MachineOptions> & { pages?: number } = {},
  ): Promise<MachineFixture> {
    const guest = new FakeGuest(options);
    const machine = new Machine({ guest, name: 'fake', vcpus: 1, ...options });
    const server = new QmpServer({ commands: machineCommands(machine), events: machineEvents });
    machine.on('event', (event, data) => server.emit(event, data));
    const directory = mkdtempSync(join(tmpdir(), 'godwit-machine-'));
    const address = await server.listen(`unix:${join(directory, 'qmp')}`);
    const client = await QmpClient.connect(address, { oob: true });
    const schema = new SchemaWalker(await client.execute('query-qmp-schema'));
    const fixture = new MachineFixture({ guest, machine, client, server, schema, directory });
    await machine.start();
    await fixture.execute('migrate-set-capabilities', {
      capabilities: [
        { capability: 'events', state: true },
        { capability: 'postcopy-ram', state: true },
      ],
    });
    return fixture;
  }

  private constructor(parts: {
    guest: FakeGuest;
    machine: Machine;
    client: QmpClient;
    server: QmpServer;
    schema: SchemaWalker;
    directory: string;
  }) {
    this.guest = parts.guest;
    this.machine = parts.machine;
    this.client = parts.client;
    this.#server = parts.server;
    this.#schema = parts.schema;
    this.directory = parts.directory;
    this.machine.on('quit', (code) => this.quits.push(code));
    this.client.on('event', ({ event, data = {} }) => {
      this.#schema.checkEvent(event, data);
      this.events.push([event, ...Object.values(data).map(String)].join(' '));
    });
  }

  get uri(): string {
    return `unix:${join(this.directory, 'migration')}`;
  }

  /** What comes back must be of the type that query-qmp-schema tells, whatever the test looks at. */
  async execute(command: string, args?: Record<string, unknown>): Promise<unknown> {
    const result = await this.client.execute(command, args);
    this.#schema.checkResult(command, result);
    return result;
  }

  /** Waits for a guest at `uri`, and stays when it fails. */
  async listen(): Promise<void> {
    await this.execute('migrate-incoming', { uri: this.uri, 'exit-on-error': false });
  }

  /** @returns the text of the refusal. */
  async refusal(command: string, args?: Record<string, unknown>): Promise<string> {
    try {
      await this.execute(command, args);
    } catch (error) {
      return (error as Error).message;
    }
    throw new Error(`${command} was not refused`);
  }

  async status(): Promise<unknown> {
    return ((await this.execute('query-status')) as { status: unknown }).status;
  }

  /** The next event of this status. */
  async reaches(status: string): Promise<void> {
    await this.client.waitForEvent(
      ({ event, data }) => event === 'MIGRATION' && data?.['status'] === status,
      { timeoutMillis: LIMIT_MILLIS },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
    await this.#server.close();
    // In postcopy nothing but the end of the process ends it; tests complete what they begin.
    await this.machine.migrations.closeOutgoing();
    await this.machine.migrations.closeIncoming();
    this.guest[Symbol.dispose]();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

import { setTimeout as after } from 'node:timers/promises';

import { type QmpClient, QmpError } from '@godwit/qmp';
import { parseAddress } from '@godwit/transport';

import { queryMigrate, queryStatus, uriOf } from '../migrate-info.ts';
import { qmpAddressOf } from '../qmp-option.ts';
import { exactSize } from '../sizes.ts';

/** How a destination is named: where it answers QMP, and perhaps where it shall listen. */
export interface DestinationSpec {
  readonly qmp: string;
  readonly uri: string | undefined;
}

interface RamInfo {
  readonly id: string;
  readonly size: number;
}

/** How long a destination may take to notice that the attempt before is over. */
const SETTLE_LIMIT_MILLIS = 10_000;
const POLL_MILLIS = 50;

/** What `x-query-guest-ram` says, in words that are equal where a guest fits: `pc.ram 256M, …`. */
export async function ramOf(client: QmpClient): Promise<string> {
  const blocks = await client.execute<readonly RamInfo[]>('x-query-guest-ram');
  return blocks.map(({ id, size }) => `${id} ${exactSize(size)}`).join(', ');
}

/** A process that waits for a guest. */
export class Destination {
  readonly qmp: string;
  readonly client: QmpClient;
  readonly ram: string;
  readonly #uri: string;

  /** @throws {Error} it waits for no guest, or cannot be asked. */
  static async survey(spec: DestinationSpec, client: QmpClient): Promise<Destination> {
    const { status } = await queryStatus(client);
    if (status !== 'inmigrate') {
      throw new Error(`it waits for no guest (its run state is ${status})`);
    }
    return new Destination(spec, client, await ramOf(client));
  }

  private constructor({ qmp, uri }: DestinationSpec, client: QmpClient, ram: string) {
    this.qmp = qmp;
    this.client = client;
    this.ram = ram;
    this.#uri = uri ?? uriBeside(qmp);
  }

  /** @returns where it is listening now, at the latest; one that listened before goes on. */
  async listen(postcopy: boolean): Promise<string> {
    if (postcopy) {
      const capabilities = [{ capability: 'postcopy-ram', state: true }];
      await this.client.execute('migrate-set-capabilities', { capabilities });
    }
    if ((await this.#settled()) !== 'setup') {
      const args = { uri: this.#uri, 'exit-on-error': false }; // it may get another chance
      await this.client.execute('migrate-incoming', args);
    }
    const { 'socket-address': addresses = [] } = await queryMigrate(this.client);
    return addresses.map(uriOf).at(-1) ?? this.#uri;
  }

  /** Of two sides the destination may be the later one to learn that an attempt has failed. */
  async #settled(): Promise<string> {
    const limit = performance.now() + SETTLE_LIMIT_MILLIS;
    for (;;) {
      const { status = 'none' } = await queryMigrate(this.client);
      if (['none', 'setup', 'failed'].includes(status)) return status;
      if (performance.now() > limit) {
        throw new QmpError('GenericError', `${this.qmp} is still in ${status}`);
      }
      await after(POLL_MILLIS);
    }
  }
}

/** The destinations that are free; a guest gets one whose RAM is like its own. */
export class DestinationPool {
  readonly #free: Destination[];

  constructor(destinations: readonly Destination[]) {
    this.#free = [...destinations];
  }

  take(ram: string): Destination | undefined {
    const index = this.#free.findIndex((destination) => destination.ram === ram);
    return index < 0 ? undefined : this.#free.splice(index, 1)[0];
  }

  /** It has not got a guest: another one, or the same again, may try it, after the others. */
  giveBack(destination: Destination): void {
    this.#free.push(destination);
  }

  whyNot(ram: string): string {
    if (this.#free.length === 0) return `no destination is left for a guest with ${ram}`;
    const free = this.#free.map(({ qmp, ram: other }) => `${qmp} has ${other}`).join('; ');
    return `no destination has the same RAM, ${ram}: ${free}`;
  }
}

/** A file beside the QMP socket; a port of the same host, which the system chooses. */
function uriBeside(qmp: string): string {
  const address = parseAddress(qmpAddressOf(qmp));
  if (address.type === 'unix') return `unix:${address.path}.mig`;
  return `tcp:${address.host.includes(':') ? `[${address.host}]` : address.host}:0`;
}

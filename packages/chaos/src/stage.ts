import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { anyAddress, uriOf } from './link/addresses.ts';
import { LinkProxy } from './link/link-proxy.ts';
import { limits } from './limits.ts';
import { type Resources, resourcesOf } from './resources.ts';
import type { Offers, Plan, SideName } from './schedule.ts';
import { Side } from './side.ts';

export interface StageOptions {
  readonly plan: Plan;
  readonly offers: Offers;
  /** The program `godwit`. */
  readonly godwit: string;
  readonly signal: AbortSignal;
}

/** The processes of a run, the link between them, and the directory of their sockets. */
export class Stage implements AsyncDisposable {
  readonly options: StageOptions;
  readonly directory: string;
  /** Every process there has been, the source first. */
  readonly sides: Side[] = [];
  readonly #held = new Map<Side, Resources>();
  #link: LinkProxy | undefined;

  /** Both sides wait; nothing has begun. */
  static async open(options: StageOptions): Promise<Stage> {
    const stage = new Stage(options, await mkdtemp(join(tmpdir(), 'godwit-chaos-')));
    try {
      await Promise.all([stage.#start('source'), stage.#start('destination 1')]);
      stage.sides.sort((a, b) => b.name.localeCompare(a.name)); // whichever was faster
      await stage.listen();
      return stage;
    } catch (error) {
      await stage[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(options: StageOptions, directory: string) {
    this.options = options;
    this.directory = directory;
  }

  get source(): Side {
    return this.sides[0] as Side;
  }

  /** The latest. */
  get destination(): Side {
    return this.sides.at(-1) as Side;
  }

  get link(): LinkProxy {
    return this.#link as LinkProxy;
  }

  readonly side = (name: SideName): Side => this[name];

  /** What it held when nothing had begun. */
  heldAtFirst(side: Side): Resources {
    return this.#held.get(side) as Resources;
  }

  /** Another destination, for one that has ended or waits for nobody. */
  async replaceDestination(): Promise<void> {
    await this.#start(`destination ${this.sides.length}`);
    await this.listen();
  }

  /** The destination waits for a source, and the link leads there. */
  async listen(): Promise<void> {
    const { plan } = this.options;
    const uri = anyAddress(plan.transport, this.directory);
    await this.destination.execute('migrate-incoming', { uri });
    await this.#lead();
  }

  /** The destination waits for its source on another address. */
  async listenElsewhere(): Promise<void> {
    const uri = anyAddress(this.options.plan.transport, this.directory);
    await this.destination.qmp.execute('migrate-recover', { uri }, { oob: true });
    await this.#lead();
  }

  async files(): Promise<string[]> {
    return await readdir(this.directory);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#link?.close();
    await Promise.all(this.sides.map(async (side) => await side[Symbol.asyncDispose]()));
    await rm(this.directory, { recursive: true, force: true });
  }

  async #lead(): Promise<void> {
    const info = await this.destination.execute<{
      'socket-address'?: Parameters<typeof uriOf>[0][];
    }>('query-migrate');
    const [address] = info['socket-address'] ?? [];
    if (address === undefined) throw new Error('the destination does not say where it listens');
    const target = uriOf(address);
    const { transport } = this.options.plan;
    this.#link ??= await LinkProxy.open({ transport, directory: this.directory, target });
    this.#link.target = target;
  }

  async #start(name: string): Promise<void> {
    const { plan, godwit, signal } = this.options;
    const isSource = name === 'source';
    const args = guestArguments(plan, isSource);
    const side = await Side.start({
      name: name.replaceAll(' ', '-'),
      godwit,
      directory: this.directory,
      args,
      signal,
    });
    this.sides.push(side);
    await configure(side, this.options);
    this.#held.set(side, await resourcesOf(side.pid));
  }
}

function guestArguments(plan: Plan, isSource: boolean): string[] {
  const { memory, memoryMode, vcpus, workload, rate, fill, seed } = plan;
  const both = { memory, 'memory-mode': memoryMode, vcpus };
  // The program comes with the guest: the destination needs only the room.
  const own = isSource ? { workload, rate, fill, seed } : { incoming: 'defer' };
  return Object.entries({ ...both, ...own }).flatMap(([flag, value]) => [
    `--${flag}`,
    String(value),
  ]);
}

async function configure(side: Side, { plan, offers }: StageOptions): Promise<void> {
  const { linkTimeoutMillis } = offers;
  await side.setCapabilities({
    'postcopy-ram': plan.mode === 'postcopy',
    'postcopy-preempt': plan.preempt,
    ...(plan.channels > 0 ? { multifd: true } : {}),
    ...(offers.checksum ? { 'x-checksum': true } : {}),
  });
  await side.setParameters({
    'max-bandwidth': plan.bandwidth,
    'max-postcopy-bandwidth': plan.postcopyBandwidth,
    // Precopy ends, however slow the link was made.
    'downtime-limit': 5000,
    'x-handshake-timeout': limits.handshake,
    ...(plan.channels > 0 ? { 'multifd-channels': plan.channels } : {}),
    ...(plan.compression ? { 'multifd-compression': 'zlib' } : {}),
    ...(linkTimeoutMillis === undefined
      ? {}
      : {
          'x-link-timeout': linkTimeoutMillis,
          'x-heartbeat-interval': Math.round(linkTimeoutMillis / 5),
        }),
  });
}

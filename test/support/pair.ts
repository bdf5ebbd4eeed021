import assert from 'node:assert/strict';
import { anyAddress, type Transport } from './addresses.ts';
import type { ExitStatus, GuestProcess } from './guest-process.ts';
import { listeningAddress } from './listening-address.ts';
import { LinkProxy } from './link-proxy.ts';
import { verifyOwner, type VerifyOptions, verifyRunning } from './ownership.ts';
import { seed } from './seed.ts';
import { assertLegalSteps } from './sequences.ts';
import { type Listening, type PairOptions, startDestination, startGuest } from './start-guests.ts';
import { TestDirectory } from './test-directory.ts';
import { within } from './wait.ts';

export type { PairOptions };

/** Two guest processes, and everything a test does to them. */
export class Pair implements AsyncDisposable {
  readonly directory: TestDirectory;
  readonly options: PairOptions;
  readonly transport: Transport;
  source: GuestProcess;
  destination: GuestProcess;
  /** Where the destination listens. */
  uri: string;
  /** All that the guest of this test may run on. */
  readonly #hosts: GuestProcess[];
  /** Those of another guest. */
  readonly #bystanders: GuestProcess[] = [];
  readonly #proxies: LinkProxy[] = [];
  /** How a process ended that was meant to end before the test. */
  readonly #ends = new Map<GuestProcess, ExitStatus>();

  static async start(options: PairOptions): Promise<Pair> {
    const directory = await TestDirectory.make();
    const transport = options.transport ?? 'unix';
    const { source: sourceOptions } = options;
    const started = await Promise.allSettled([
      startGuest({ ...options, ...sourceOptions, name: 'source', directory }, options),
      startDestination('destination', { directory, options }),
    ]);
    const [source, listening] = started;
    if (source.status === 'rejected' || listening.status === 'rejected') {
      if (source.status === 'fulfilled') await source.value[Symbol.asyncDispose]();
      if (listening.status === 'fulfilled') await listening.value.guest[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
      throw started.find((it) => it.status === 'rejected')?.reason;
    }
    await source.value.setParameters(options.parameters ?? {});
    return new Pair(directory, { ...options, transport }, source.value, listening.value);
  }

  private constructor(
    directory: TestDirectory,
    options: PairOptions & { transport: Transport },
    source: GuestProcess,
    listening: Listening,
  ) {
    this.directory = directory;
    this.options = options;
    this.transport = options.transport;
    this.source = source;
    this.destination = listening.guest;
    this.uri = listening.uri;
    this.#hosts = [source, listening.guest];
  }

  /**
   * Another process that listens; it is the one that is meant from now on.
   *
   * @param uri left out: an address of its own.
   */
  async startDestination(
    name: string,
    uri?: string,
    beforehand?: (guest: GuestProcess) => Promise<unknown>,
  ): Promise<GuestProcess> {
    const { directory, options } = this;
    const started = await startDestination(name, { directory, options, uri, beforehand });
    const { guest, uri: bound } = started;
    this.#hosts.push(guest);
    this.destination = guest;
    this.uri = bound;
    return guest;
  }

  /** The next hop: the guest leaves from where it has arrived, for a process of this name. */
  async turnDestinationIntoSource(name: string): Promise<void> {
    this.source = this.destination;
    await this.source.setParameters(this.options.parameters ?? {});
    await this.startDestination(name);
  }

  /** A process with a guest of its own. */
  async startBystander(name: string): Promise<GuestProcess> {
    const { directory, options } = this;
    const guest = await startGuest({ ...options, name, directory }, options);
    this.#bystanders.push(guest);
    return guest;
  }

  /** A proxy in front of the destination; what it saw must have been the protocol. */
  async openLink(): Promise<LinkProxy> {
    const { transport, directory } = this;
    const link = await LinkProxy.open({ transport, directory: directory.path, target: this.uri });
    this.#proxies.push(link);
    return link;
  }

  async migrate(uri: string = this.uri): Promise<void> {
    await this.source.execute('migrate', { uri });
  }

  async startPostcopy(): Promise<void> {
    await this.source.execute('migrate-start-postcopy');
  }

  /** Asked for in one breath, so that precopy has no time to end by itself. */
  async migrateByPostcopy(uri: string = this.uri): Promise<void> {
    await Promise.all([this.migrate(uri), this.startPostcopy()]);
  }

  /** The guest runs at the destination, its last pages are still on the way or here. */
  async untilPostcopyActive(uri: string = this.uri): Promise<void> {
    await this.migrateByPostcopy(uri);
    await this.waitForBoth('postcopy-active');
  }

  /** Lets postcopy end, whose bulk was made to crawl. */
  async untilCompleted(): Promise<void> {
    await this.source.setParameters({ 'max-postcopy-bandwidth': 0 });
    await this.waitForBoth('completed');
  }

  async waitForBoth(status: string, limitMillis?: number): Promise<void> {
    const { source, destination } = this;
    await Promise.all([
      source.waitForStatus(status, limitMillis),
      destination.waitForStatus(status, limitMillis),
    ]);
  }

  /** A new address to listen on for `migrate-recover`. */
  freshAddress(): string {
    return anyAddress(this.transport, this.directory.path);
  }

  /** `migrate-recover` at the destination. @returns where it listens. */
  async recoverAt(uri: string = this.freshAddress()): Promise<string> {
    await this.destination.executeOob('migrate-recover', { uri });
    this.uri = await listeningAddress(this.destination);
    return this.uri;
  }

  async resume(uri: string = this.uri): Promise<void> {
    await this.source.execute('migrate', { uri, resume: true });
  }

  /** All processes but one that the guest may run on. */
  othersThan(owner: GuestProcess): GuestProcess[] {
    return this.#hosts.filter((guest) => guest !== owner);
  }

  /** The incoming migration fails, and with it the process ends, as QEMU's does. */
  async expectFailed(guest: GuestProcess): Promise<void> {
    await guest.waitForStatus('failed');
    const end = { code: 1, signal: null };
    assert.deepEqual(await within(guest.exited, `the end of ${guest.name}`), end, guest.output);
    this.#ends.set(guest, end);
  }

  /** SIGKILL, and the end of the process. */
  async kill(guest: GuestProcess): Promise<void> {
    guest.kill();
    this.#ends.set(guest, await within(guest.exited, `the end of ${guest.name}`));
  }

  /** Every process that still lives ends as it should, and nothing is left of any. */
  async finish(): Promise<void> {
    for (const proxy of this.#proxies) {
      await proxy.close();
      assert.deepEqual(proxy.violations, [], 'what was said on the link is not the protocol');
    }
    await everyOne(this.#all(), async (guest) => {
      if (this.#ends.has(guest)) assert.deepEqual(guest.exit, this.#ends.get(guest));
      else await guest.quit(); // also one that has ended already: as it should?
      assertLegalSteps(guest);
    });
    // Nobody cleans up after SIGKILL.
    const isSomeoneKilled = [...this.#ends.values()].some((end) => end.signal !== null);
    if (!isSomeoneKilled) assert.deepEqual(await this.directory.names(), [], 'files left behind');
  }

  describe(): string {
    const frames = this.#proxies.map((proxy, i) => `link ${i}${proxy.describe()}`);
    return [...this.#all().map((guest) => guest.describe()), ...frames].join('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const proxy of this.#proxies) await proxy.close();
    await everyOne(this.#all(), async (guest) => await guest[Symbol.asyncDispose]());
    await this.directory[Symbol.asyncDispose]();
  }

  #all(): GuestProcess[] {
    return [...this.#hosts, ...this.#bystanders];
  }
}

/** Runs a test on two guests; a failure tells its seed and what both sides have said and seen. */
export async function withPair(
  options: PairOptions,
  body: (pair: Pair) => Promise<void>,
): Promise<void> {
  await using pair = await Pair.start(options);
  try {
    await body(pair);
    await pair.finish();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const told = `${message}\nGODWIT_SEED=${seed}\n${pair.describe()}`;
    throw new Error(told, { cause: error });
  }
}

/** At the end of a test: see `verifyOwner`; the owner is stopped to look at its memory. */
export async function expectOwner(
  pair: Pair,
  owner: GuestProcess,
  options?: VerifyOptions,
): Promise<void> {
  await verifyOwner(owner, pair.othersThan(owner), options);
}

/** In between: the guest runs here and nowhere else. */
export async function expectRunning(pair: Pair, owner: GuestProcess): Promise<void> {
  await verifyRunning(owner, pair.othersThan(owner));
}

/** At the same time; the first failure is told when all have ended. */
async function everyOne<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  const results = await Promise.allSettled(items.map(act));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

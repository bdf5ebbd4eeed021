import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { ArmedFault } from './faults.ts';
import { proveStill, proveWhole } from './invariants.ts';
import { limits } from './limits.ts';
import { anyAddress, uriOf } from './link/addresses.ts';
import { LinkProxy } from './link/link-proxy.ts';
import { OwnerWatch } from './ownership.ts';
import { drawHop, type Hop } from './hop.ts';
import { keptBeyond, type Resources, resourcesOf, type Slack } from './resources.ts';
import { Side } from './side.ts';

export interface PingPongOptions {
  readonly seed: number;
  readonly hops: number;
  /** Before the first look at what the processes hold; even, as is `hops`. */
  readonly warmUp: number;
  readonly godwit: string;
  readonly signal: AbortSignal;
}

export interface HopResult {
  readonly hop: Hop;
  readonly number: number;
  /** The cut came about. */
  readonly isCut: boolean;
  readonly recoveries: number;
  readonly retries: number;
  readonly millis: number;
}

/** What the two processes hold, after the warm-up and at the end. */
export interface Holdings {
  readonly name: string;
  readonly before: Resources;
  readonly after: Resources;
  /** In between, at most. */
  readonly threadsEnded: number;
  /** By how much `after` may be more. */
  readonly slack: Slack;
}

/** Of each thread that has ended, koffi 3.3 keeps the stack, its guard page, the heap, and its tables. */
const MAPPINGS_KEPT_PER_THREAD = 3;
const BYTES_KEPT_PER_THREAD = 64 * 1024;

/**
 * By how much a process may hold more at the end. Allocators keep arenas, and V8 its heaps until the next
 * collection; beyond that nothing grows with the hops but what a thread costs that has ended.
 */
export function pingPongSlack(threadsEnded: number): Slack {
  return {
    threads: 0,
    descriptors: 0,
    mappings: 60 + MAPPINGS_KEPT_PER_THREAD * threadsEnded,
    residentBytes: 32 * 1024 * 1024 + BYTES_KEPT_PER_THREAD * threadsEnded,
  };
}

const ATTEMPTS_MAX = 8;

/** One guest that goes to and fro between two processes, each time by other means and over a bad link. */
export class PingPong implements AsyncDisposable {
  readonly sides: readonly [Side, Side];
  readonly found: string[] = [];
  readonly #options: PingPongOptions;
  readonly #directory: string;
  readonly #watch: OwnerWatch;
  #link: LinkProxy | undefined;
  #before: Resources[] = [];
  /** Since the warm-up, at most. */
  readonly #threadsEnded = new Map<Side, number>();

  static async open(options: PingPongOptions): Promise<PingPong> {
    const directory = await mkdtemp(join(tmpdir(), 'godwit-chaos-'));
    const both = ['--memory', '16M', '--vcpus', '2'];
    const program = ['--workload', 'random', '--rate', '5000', '--seed', String(options.seed)];
    const start = async (name: string, args: readonly string[]): Promise<Side> => {
      return await Side.start({ ...options, name, directory, args: [...both, ...args] });
    };
    const started = await Promise.allSettled([
      start('a', program),
      start('b', ['--incoming', 'defer']),
    ]);
    const [a, b] = started.map((it) => (it.status === 'fulfilled' ? it.value : undefined));
    if (a !== undefined && b !== undefined) return new PingPong(options, directory, [a, b]);
    await Promise.all([a?.[Symbol.asyncDispose](), b?.[Symbol.asyncDispose]()]);
    await rm(directory, { recursive: true, force: true });
    throw started.find((it) => it.status === 'rejected')?.reason;
  }

  private constructor(options: PingPongOptions, directory: string, sides: [Side, Side]) {
    this.#options = options;
    this.#directory = directory;
    this.sides = sides;
    this.#watch = new OwnerWatch(sides);
  }

  /** Up to the first that finds something. @throws {Error} a wait was in vain. */
  async *hops(): AsyncGenerator<HopResult> {
    const { seed, hops, warmUp, signal } = this.#options;
    for (let number = 1; number <= hops; number += 1) {
      signal.throwIfAborted();
      const [a, b] = this.sides;
      const [from, to] = number % 2 === 1 ? [a, b] : [b, a];
      // What both hold is looked at after hops whose end both have noted.
      const isLookedAt = number === warmUp || number === hops;
      const drawn = drawHop(seed, number);
      const hop = isLookedAt ? { ...drawn, cut: undefined } : drawn;
      yield { hop, number, ...(await this.#bringAcross(hop, from, to)) };
      this.found.push(...(await proveWhole(to)), ...(await proveStill(from)));
      for (const side of this.sides) this.#count(side, 2); // the verifiers
      if (await from.runsGuest()) this.found.push(`the guest runs on ${from.name}, which it left`);
      if (this.found.length > 0) return;
      if (number !== warmUp) continue;
      this.#before = await this.#holdings();
      this.#threadsEnded.clear();
    }
  }

  /** Compares with the end of the warm-up. @returns what both held then and hold now. */
  async compare(): Promise<Holdings[]> {
    const all: Holdings[] = [];
    for (const [i, side] of this.sides.entries()) {
      const before = this.#before[i] as Resources;
      const threadsEnded = this.#threadsEnded.get(side) ?? 0;
      const slack = pingPongSlack(threadsEnded);
      const kept = await keptBeyond(side.pid, before, slack, limits.giveBack);
      this.found.push(...kept.map((what) => `process ${side.name} has kept ${what}`));
      const after = await resourcesOf(side.pid);
      all.push({ name: side.name, before, after, threadsEnded, slack });
    }
    const twice = await this.#watch.end();
    if (twice !== undefined) this.found.push(twice);
    return all;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watch.end();
    await this.#link?.close();
    await Promise.all(this.sides.map(async (side) => await side[Symbol.asyncDispose]()));
    await rm(this.#directory, { recursive: true, force: true });
  }

  /** When the threads of the last hop have ended. */
  async #holdings(): Promise<Resources[]> {
    return await Promise.all(this.sides.map(async ({ pid }) => await settledResources(pid)));
  }

  async #bringAcross(hop: Hop, from: Side, to: Side): Promise<Omit<HopResult, 'hop' | 'number'>> {
    const started = performance.now();
    await prepare(hop, from);
    await prepare(hop, to);
    const counts = { recoveries: 0, retries: 0 };
    const link = await this.#listen(to, hop);
    let armed = hop.cut && new ArmedFault(hop.cut, { link, side: () => to });
    let isCut = false;
    let resume = false;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      // The ram-sender and the return path; the receivers and the fault thread.
      if (!resume) this.#count(from, 2 + hop.channels);
      const there = await attemptOnce(hop, from, link.uri, resume);
      await armed?.end();
      isCut ||= armed?.hasCome === true;
      armed = undefined;
      if (there === 'completed') {
        await to.until(['completed'], limits.attempt);
        return { isCut, ...counts, millis: Math.round(performance.now() - started) };
      }
      resume = there === 'postcopy-paused';
      if (resume) {
        counts.recoveries += 1;
        continue;
      }
      counts.retries += 1;
      const here = await to.until(['setup', 'failed'], limits.attempt);
      if (here === 'failed') await this.#listen(to, hop);
    }
    throw new Error(`hop by ${hop.mode}: ${ATTEMPTS_MAX} attempts have not brought it across`);
  }

  #count(side: Side, threads: number): void {
    this.#threadsEnded.set(side, (this.#threadsEnded.get(side) ?? 0) + threads);
  }

  /** @returns the link that leads there. */
  async #listen(to: Side, { transport, channels }: Hop): Promise<LinkProxy> {
    const uri = anyAddress(transport, this.#directory);
    this.#count(to, 3 + channels);
    await to.execute('migrate-incoming', { uri, 'exit-on-error': false });
    const info = await to.execute<{ 'socket-address'?: Parameters<typeof uriOf>[0][] }>(
      'query-migrate',
    );
    const [address] = info['socket-address'] ?? [];
    if (address === undefined) throw new Error(`${to.name} does not say where it listens`);
    const target = uriOf(address);
    this.#link ??= await LinkProxy.open({
      transport: 'unix',
      directory: this.#directory,
      target,
    });
    this.#link.target = target;
    return this.#link;
  }
}

/** @returns what came of it at the source. */
async function attemptOnce(hop: Hop, from: Side, uri: string, resume: boolean): Promise<string> {
  const isWished = hop.mode === 'postcopy' && !resume;
  await Promise.all([
    from.execute('migrate', { uri, ...(resume ? { resume } : {}) }),
    isWished ? from.execute('migrate-start-postcopy') : undefined,
  ]);
  return await from.nextOf(['completed', 'failed', 'postcopy-paused'], limits.attempt);
}

async function prepare(hop: Hop, side: Side): Promise<void> {
  await side.setCapabilities({
    'postcopy-ram': hop.mode === 'postcopy',
    'postcopy-preempt': hop.preempt,
    multifd: hop.channels > 0,
  });
  await side.setParameters({
    'max-bandwidth': 0,
    'max-postcopy-bandwidth': hop.postcopyBandwidth,
    'downtime-limit': 5000,
    'x-handshake-timeout': limits.handshake,
    ...(hop.channels > 0 ? { 'multifd-channels': hop.channels } : {}),
  });
}

const SETTLE_MILLIS = 300;

/** When nothing has changed for a while: threads end after the last event, and none tells of that. */
async function settledResources(pid: number): Promise<Resources> {
  for (let last = await resourcesOf(pid); ;) {
    await sleep(SETTLE_MILLIS);
    const now = await resourcesOf(pid);
    if (now.threads === last.threads && now.descriptors === last.descriptors) return now;
    last = now;
  }
}

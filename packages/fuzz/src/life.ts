import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { setTimeout as after } from 'node:timers/promises';
import {
  type Capabilities,
  capabilityDefaults,
  DestinationMigration,
  type MemoryMode,
  parameterDefaults,
  SourceMigration,
} from '@godwit/core';
import { viewMemory } from '@godwit/posix';
import { assertNever } from '@godwit/transport';
import type { Corpus } from './corpus.ts';
import { GuardedRam } from './guarded-ram.ts';
import { blast, stranger } from './hostile-links.ts';
import { completeInstead } from './last-resort.ts';
import { checkEnd, checkError, checkMeanwhile, type Ends } from './oracles.ts';
import type { Flavour, LinkPlan, Plan } from './plan.ts';
import { QuietGuest } from './quiet-guest.ts';
import { Relay } from './relay.ts';
import { Judge } from './wire-judge.ts';

export interface LifeOptions {
  readonly corpus: Corpus;
  /** What paths of sockets begin with. */
  readonly prefix: string;
}

/** What a plan led to. */
export interface Outcome {
  /** Where each link ended, and for what reason: new ones are worth going on from. */
  readonly signatures: readonly string[];
  readonly links: number;
  /** A userfaultfd under a guest with missing pages, which only the end of the process may close. */
  readonly keptDescriptors: number;
}

/** So long after the last byte nothing more comes of a frame that was tampered with. */
const QUIET_MILLIS = 250;
/** Every wait of the engine has a limit; this is beyond all of them. */
const SETTLE_MILLIS = 20_000;
const LOOK_MILLIS = 5;
/** A recovery that nobody disturbs succeeds; epochs that others have used take attempts. */
const HONEST_ATTEMPTS = 32;

const parameters = {
  ...parameterDefaults,
  'x-handshake-timeout': 8000,
  'max-postcopy-bandwidth': 2_000_000,
  'multifd-compression': 'zlib',
} as const;

/**
 * One migration between two real ends, under guests of their own, with hostile links between them as the
 * plan says; at its end nobody is hostile any more.
 *
 * @throws what is promised does not hold.
 */
export async function runLife(plan: Plan, options: LifeOptions): Promise<Outcome> {
  const mode: MemoryMode = plan.portable ? 'portable' : 'userfault';
  // Unmapped at the good end alone: threads may still use it where a promise broke.
  const sourceRam = new GuardedRam(mode);
  const destinationRam = new GuardedRam(mode);
  sourceRam.fill();
  const guests = {
    source: new QuietGuest(sourceRam.blocks, true),
    destination: new QuietGuest(destinationRam.blocks, false),
  };
  const judge = new Judge();
  const capabilities = capabilitiesOf(plan.flavour);
  const destination = new DestinationMigration(guests.destination, {
    parameters: () => parameters,
  });
  const targetPath = `${options.prefix}-destination`;
  await destination.listen({ type: 'unix', path: targetPath });
  const listenPath = `${options.prefix}-relay`;
  await using relay = await Relay.open({ listenPath, targetPath, corpus: options.corpus, judge });
  const source = new SourceMigration(guests.source, { capabilities, parameters });
  const ends: Ends = { source, destination, guests, judge, relay };
  const broken: Error[] = [];
  const look = (): void => {
    try {
      checkMeanwhile(ends);
    } catch (error) {
      broken.push(error as Error); // to throw it here would be the engine's to handle
    }
  };
  for (const end of [source, destination]) end.on('status', look);
  for (const guest of [guests.source, guests.destination]) guest.onResume = look;
  const digest = digestOf(sourceRam);
  const life = new Life(ends, plan, { ...options, listenPath, targetPath });
  if (capabilities['postcopy-ram']) source.startPostcopy();
  await life.run();
  if (broken[0] !== undefined) throw broken[0];
  assert.equal(digestOf(sourceRam), digest, "the source's memory has changed");
  checkEnd(ends, { sourceRam, destinationRam });
  for (const ram of [sourceRam, destinationRam]) ram[Symbol.dispose]();
  const keepsFaults = destination.ownsGuest && destination.hasMissingPages && !plan.portable;
  return { signatures: life.signatures, links: life.links, keptDescriptors: keepsFaults ? 1 : 0 };
}

interface Paths {
  readonly corpus: Corpus;
  readonly prefix: string;
  readonly listenPath: string;
  readonly targetPath: string;
}

class Life {
  readonly signatures: string[] = [];
  links = 0;
  readonly #ends: Ends;
  readonly #plan: Plan;
  readonly #paths: Paths;
  #epoch = 0;

  constructor(ends: Ends, plan: Plan, paths: Paths) {
    this.#ends = ends;
    this.#plan = plan;
    this.#paths = paths;
  }

  async run(): Promise<void> {
    const { source } = this.#ends;
    const count = this.#plan.links.length + HONEST_ATTEMPTS;
    for (let index = 0; index < count; index++) {
      const link = this.#plan.links[index];
      await this.#othersBefore(link);
      this.#ends.relay.beginLink(link);
      const before = { source: source.error, destination: this.#ends.destination.error };
      this.#epoch += 1;
      if (index === 0) source.start({ type: 'unix', path: this.#paths.listenPath });
      else source.resume({ type: 'unix', path: this.#paths.listenPath });
      await this.#settle();
      this.#note(before);
      if (source.status !== 'postcopy-paused') break;
      if (this.#ends.destination.status === 'failed') break;
    }
    await this.#bringToEnd();
  }

  /** Strangers and hostile links of those who are none, one after the other. */
  async #othersBefore(link: LinkPlan | undefined): Promise<void> {
    const { destination, judge, relay } = this.#ends;
    const { targetPath: path, corpus } = this.#paths;
    for (const seed of link?.strangers ?? []) await stranger(path, seed, corpus);
    for (const one of link?.blasts ?? []) {
      const { session } = relay;
      const { error } = destination;
      const isIn = await blast(one, { path, corpus, judge, session, epoch: this.#epoch });
      this.links += 1;
      if (isIn && session !== undefined) this.#epoch += 1;
      const isOver = (): boolean => {
        // Without a session that has begun, only the error tells that the link is forgotten.
        if (destination.status === 'setup') return !isIn || destination.error !== error;
        return isSettled(destination.status);
      };
      await this.#until('the destination after a hostile link', isOver);
      checkError('destination', destination.error);
      this.signatures.push(`blast ${destination.status}: ${normal(destination.error)}`);
    }
  }

  /** Waits until both ends know where they stand; who waits in vain after a tampered frame is cut off. */
  async #settle(): Promise<void> {
    const { source, destination, relay } = this.#ends;
    const isOver = (): boolean => {
      const isQuiet = performance.now() - relay.lastByteMillis > QUIET_MILLIS;
      if (relay.hasTampered && isQuiet) relay.cut();
      return isSettled(source.status) && source.status !== 'setup' && isSettled(destination.status);
    };
    await this.#until('both ends after a link', isOver);
  }

  /** @param before what both had to say before this link: who is not there for it has nothing to add. */
  #note(before: Readonly<Record<'source' | 'destination', Error | undefined>>): void {
    const { source, destination, relay } = this.#ends;
    this.links += 1;
    for (const [name, { error }] of Object.entries({ source, destination })) {
      checkError(name, error);
      const isNew = error !== before[name as 'source' | 'destination']; // the keys of the object above
      if (relay.firstEnd === name && error !== undefined && isNew) checkNamed(name, error);
    }
    const at = `${source.status}: ${normal(source.error)} | ${destination.status}: ${normal(destination.error)}`;
    this.signatures.push(at);
  }

  /** Whoever is left alone by what was forged ends as well. */
  async #bringToEnd(): Promise<void> {
    const { source, destination, judge, relay } = this.#ends;
    if (source.status === 'postcopy-paused') {
      const isForged = judge.isAnswerForged || judge.isOrderForged || judge.isEndForged;
      const there = `destination ${destination.status}: ${destination.error?.message}`;
      const what = `a recovery fails that nobody disturbs: ${source.error?.message} (${there})`;
      assert(isForged, what);
      assert(relay.session !== undefined);
      await completeInstead(source, `${this.#paths.prefix}-instead`, relay.session);
    }
    await this.#within('the end of the source', source.ended);
    // By itself only where the source's last word has arrived.
    await this.#within('the end of the destination', destination.close());
  }

  async #within(what: string, promise: Promise<unknown>): Promise<void> {
    let isOver = false;
    void promise.then(() => (isOver = true));
    await this.#until(what, () => isOver);
  }

  async #until(what: string, isSo: () => boolean): Promise<void> {
    const { source, destination } = this.#ends;
    const deadline = performance.now() + SETTLE_MILLIS;
    while (!isSo()) {
      const where = `source ${source.status}, destination ${destination.status}`;
      assert(performance.now() < deadline, `${what}: hangs for ${SETTLE_MILLIS} ms (${where})`);
      await after(LOOK_MILLIS);
    }
  }
}

function capabilitiesOf(flavour: Flavour): Capabilities {
  switch (flavour) {
    case 'precopy':
      return { ...capabilityDefaults, 'switchover-ack': true };
    case 'postcopy':
      return { ...capabilityDefaults, 'postcopy-ram': true };
    case 'shared':
      return { ...capabilityDefaults, 'postcopy-ram': true, 'postcopy-preempt': false };
    case 'multifd':
      return { ...capabilityDefaults, 'postcopy-ram': true, multifd: true };
    default:
      return assertNever(flavour);
  }
}

function isSettled(status: string): boolean {
  return ['setup', 'completed', 'failed', 'cancelled', 'postcopy-paused'].includes(status);
}

/** Who ends a link because of what was said says what that was. */
function checkNamed(name: string, error: Error): void {
  const isNamed = !/closed the connection$|the link ended$|the link was closed here/.test(
    error.message,
  );
  assert(isNamed, `the ${name} ended the link and does not say why: ${error.message}`);
}

function normal(error: Error | undefined): string {
  return error === undefined
    ? ''
    : error.message.replaceAll(/unix:[^:]*: |0x[0-9a-f]+|\d+|'[^']*'/g, '#').slice(0, 120);
}

function digestOf(ram: GuardedRam): string {
  const hash = createHash('sha256');
  for (const { address, byteLength } of ram.blocks) {
    hash.update(new Uint8Array(viewMemory(address, byteLength)));
  }
  return hash.digest('hex');
}

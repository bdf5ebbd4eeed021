import { ChannelError, type ControlMessage, type ReceivedProof } from '@godwit/transport';
import { MigrationError } from '../errors.ts';
import type { Guest } from '../guest.ts';
import { emptyRam } from '../memory/guest-ram.ts';
import { hasCapability, reasonToRefuse } from './adoption.ts';
import type { DestinationThreads } from './destination-threads.ts';

/**
 * How far an incoming guest has got: no source yet; pages come; device state is loaded; the guest
 * runs; every page is here; or it is the source's again.
 */
export type DestinationPhase =
  | 'new'
  | 'receiving'
  | 'loaded'
  | 'running'
  | 'complete'
  | 'discarded';

type Start = Extract<ControlMessage, { readonly t: 'start' }>;

/** A guest on its way in: each step of it, in the only order that is legal. */
export class IncomingGuest {
  readonly #guest: Guest;
  readonly #threads: DestinationThreads;
  #phase: DestinationPhase = 'new';
  #isPostcopy = false;
  /** As agreed with the source. */
  capabilities: readonly string[] = [];

  constructor(guest: Guest, threads: DestinationThreads) {
    this.#guest = guest;
    this.#threads = threads;
  }

  get phase(): DestinationPhase {
    return this.#phase;
  }

  /** Pages were missing when it began to run here. */
  get isPostcopy(): boolean {
    return this.#isPostcopy;
  }

  /** The guest runs here, or is this side's to run. */
  get isOurs(): boolean {
    return this.#phase === 'running' || this.#phase === 'complete';
  }

  /** @throws {ChannelError} `ERR_PROTOCOL`: the source says `what` when it does not belong. */
  expect(what: string, ...phases: DestinationPhase[]): void {
    if (phases.includes(this.#phase)) return;
    throw new ChannelError('ERR_PROTOCOL', `'${what}' does not belong here (${this.#phase})`);
  }

  /** @returns why the migration cannot be taken; then nothing has changed. */
  async adopt(start: Start, uuid: string | undefined): Promise<string | undefined> {
    this.expect('start', 'new');
    const { ram } = this.#guest;
    const why = reasonToRefuse(start, { blocks: ram, uuid });
    if (why !== undefined) return why;
    if (hasCapability(start, 'postcopy-ram')) {
      try {
        await this.#threads.preparePostcopy();
      } catch (error) {
        const { message } = error as Error;
        const files = ram.some((block) => block.backing.startsWith('file:'));
        const hint = files
          ? 'missing pages need anon or memfd backing, or a file on a tmpfs'
          : 'see godwit doctor';
        return `capability 'postcopy-ram' cannot be had here (${message}): ${hint}`;
      }
    }
    try {
      await this.#threads.preparePageChannels(start.channels ?? 0);
    } catch (error) {
      return `${start.channels} page channels cannot be had here: ${(error as Error).message}`;
    }
    this.#threads.received.proof(); // the first digest takes milliseconds: not under a stopped guest
    this.#threads.heartbeatMillis = start.heartbeat ?? 0;
    this.#threads.gate.takesCompressed = start.compression !== undefined;
    this.#threads.gate.checks = hasCapability(start, 'x-checksum');
    const mayComeByPostcopy = hasCapability(start, 'postcopy-ram');
    this.#threads.gate.setDigests(hasCapability(start, 'x-ram-digest'), mayComeByPostcopy);
    this.#threads.gate.takeIntoMemory();
    this.#phase = 'receiving';
    this.capabilities = start.caps;
    return undefined;
  }

  /** Pages may be missing from here on; the receiving thread has registered the ranges. */
  listen(): void {
    this.expect('listen', 'receiving');
    this.#threads.nowWatching();
    this.#isPostcopy = true;
  }

  /**
   * Takes the device state. From here on the source may order to run: a lost link does not tell us that
   * it did not.
   *
   * @throws {MigrationError} `ERR_INCOMPLETE`; or what the guest thinks of the document.
   */
  load(state: Uint8Array): ReceivedProof {
    this.expect('device state', 'receiving');
    const { received } = this.#threads;
    if (!this.#isPostcopy && !received.isComplete) {
      const missing = received.pagesTotal - received.count;
      throw new MigrationError('ERR_INCOMPLETE', `${missing} pages have not arrived`);
    }
    this.#guest.loadDeviceState(state);
    this.#phase = 'loaded';
    return received.proof();
  }

  /**
   * Obeys the order to run; an order that comes again changes nothing.
   *
   * @param paused the guest stood still at the source and does so here.
   * @param beforeFirst called before the guest can touch anything.
   */
  async run(paused: boolean, beforeFirst: () => void): Promise<void> {
    this.expect('run', 'loaded', 'running', 'complete');
    if (this.#phase !== 'loaded') return;
    if (!this.#isPostcopy && !this.#threads.received.isComplete) {
      throw new MigrationError('ERR_INCOMPLETE', 'pages are missing that had arrived');
    }
    this.#phase = 'running';
    if (this.#isPostcopy) beforeFirst();
    if (!paused) await this.#guest.resume();
  }

  /**
   * Lets go of the userfaultfd once no page is missing, and only then.
   *
   * @returns whether that happened now.
   */
  async completeIfDone(): Promise<boolean> {
    if (this.#phase !== 'running' || !this.#threads.received.isComplete) return false;
    this.#phase = 'complete';
    await this.#threads.stopWatching();
    return true;
  }

  /** In postcopy from the start: another process has brought it so far. */
  restore(phase: 'loaded' | 'running'): void {
    this.expect('restore', 'new');
    this.#isPostcopy = true;
    this.#phase = phase;
  }

  /** It is the source's again: what has arrived here is nothing. `throwAway` follows. */
  discard(): void {
    this.expect('discard', 'receiving', 'loaded');
    this.#phase = 'discarded';
  }

  /** Empties RAM, once nobody reads the link any more: what came later would stay for the next guest. */
  throwAway(): void {
    this.expect('throwAway', 'discarded');
    emptyRam(this.#guest.ram);
  }
}

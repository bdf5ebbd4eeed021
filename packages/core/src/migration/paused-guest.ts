import type { Guest } from '../guest.ts';
import { watchMissing } from '../memory/fault-source.ts';
import { makeMissing } from '../memory/guest-ram.ts';
import type { PageBitmap } from '../memory/page-bitmap.ts';
import { MigrationError } from '../errors.ts';
import { Placing } from '../threads/placing-gate.ts';
import type { CrashJournal, PausedState } from './crash-journal.ts';
import type { DestinationThreads } from './destination-threads.ts';
import type { Doorkeeper } from './doorkeeper.ts';
import type { IncomingGuest } from './incoming-guest.ts';

export interface PausedGuestParts {
  readonly journal: CrashJournal | undefined;
  readonly guest: Guest;
  readonly threads: DestinationThreads;
  readonly incoming: IncomingGuest;
  readonly doorkeeper: Doorkeeper;
}

/**
 * With a journal, the guest stands still while its link is down, so that the journal and the files of its
 * RAM are all of it, and another process can take it up. Without one all of this does nothing: the guest
 * goes on with the pages it has, as QEMU's does.
 *
 * | order | why |
 * |---|---|
 * | no thread places a page, the guest stands still, the journal says `paused`, postcopy-paused is told | whoever reads of it can rely on it |
 * | the journal says `open`, pages may be placed, the guest goes on, the source is told | a page that comes lets a waiting vCPU finish its step: from then on the journal would lie; not of a guest that its user has stopped, every vCPU: it stays `paused` |
 *
 * Dying between two of them leaves a journal that says `open` with a guest that nobody takes up, or one that
 * says `paused` with a guest that stands still: never one that says `paused` of a guest that has moved.
 */
export class PausedGuest {
  readonly #parts: PausedGuestParts;
  #isJournalled = false;
  /** It is being stopped by us, not by its user. */
  #isFreezing = false;
  #isRestored = false;
  /** Its user wants it to stand still, or it came so. */
  #isStopped = false;
  /** No vCPU is in a step, not even in one that waits for a page. */
  #isStill = false;
  /** The user has stopped the guest, and the journal says so; pages come all the same. */
  #isStopJournalled = false;
  /** The journal's file is this migration's. */
  #isOurs = false;
  #device: Uint8Array = new Uint8Array();

  constructor(parts: PausedGuestParts) {
    this.#parts = parts;
  }

  /**
   * Pages are missing, and the guest may touch one. Not so of a guest that was taken over from another
   * process and has not gone on: it can be taken up again, in this process as well.
   */
  get mayMiss(): boolean {
    return this.#parts.threads.isWatching && !this.#isRestored;
  }

  /** How pages are taken that come on a new link, before `goOn`. */
  get placing(): Placing {
    return this.#parts.threads.isWatching && !this.#isJournalled
      ? Placing.BY_FAULT
      : Placing.CLOSED;
  }

  /** A migration begins: a guest may run here from now on. @throws what the file system says. */
  begin(): void {
    this.#parts.journal?.open();
    this.#isOurs = true;
  }

  /** The link is down, and nobody places pages. @returns why there is no journal of it. */
  async pause(): Promise<Error | undefined> {
    const { journal, guest, threads, incoming } = this.#parts;
    if (journal === undefined || !threads.isWatching) return undefined;
    try {
      if (!this.#isJournalled) {
        this.#isStopped = incoming.phase === 'running' ? !guest.running : guest.wanted === false;
        const waiting = (threadId: number): boolean => threads.ledger.isWaiting(threadId);
        this.#isFreezing = true;
        this.#device = (await guest.freeze?.(waiting)) ?? this.#device; // see `checkJournalled`
      }
      journal.pause(this.#state(this.#device));
      this.#isStopJournalled = false;
      this.#isJournalled = true;
      return undefined;
    } catch (error) {
      if (!this.#isJournalled) guest.thaw?.();
      return error as Error;
    } finally {
      this.#isFreezing = false;
    }
  }

  /**
   * The user wants it to run once it may, or not to.
   *
   * @throws what the file system says: whoever takes the guest up would not know.
   */
  wants(wanted: boolean): void {
    if (this.#isJournalled) {
      this.#parts.journal?.pause({ ...this.#state(this.#device), isStopped: !wanted });
    }
    this.#isStopped = !wanted; // while it is being frozen, `pause` writes it
  }

  /**
   * The user has stopped the guest, every vCPU. Pages that come from now on are not in the journal: whoever
   * takes the guest up asks for them again.
   *
   * @returns why that is not in the journal.
   */
  stopped(): Error | undefined {
    const { journal, guest, threads, incoming } = this.#parts;
    this.#isStill = true;
    if (journal === undefined || this.#isJournalled || this.#isFreezing) return undefined;
    if (!threads.isWatching || incoming.phase !== 'running') return undefined;
    try {
      this.#isStopped = true;
      journal.pause(this.#state(guest.saveDeviceState()));
      this.#isStopJournalled = true;
      return undefined;
    } catch (error) {
      return error as Error;
    }
  }

  /** The order to run has been obeyed. Where nobody has let it run, no vCPU has made a step. */
  arrived(): void {
    if (this.#parts.guest.running) return;
    // A stop that came on its heels may not have reached every vCPU yet; the journal is `open`, as it was.
    if (this.stopped() !== undefined) this.#isStill = false;
  }

  /** Before the first vCPU goes on. @throws what the file system says: then it must not. */
  beforeRun(): void {
    if (this.#isStopJournalled) this.#parts.journal?.open();
    this.#isStopJournalled = false;
    this.#isStill = false;
  }

  /** The source has proved itself and will send: before a page is placed, and before the guest runs. */
  async goOn(): Promise<void> {
    if (!this.#isJournalled) return;
    const { journal, guest, threads, incoming } = this.#parts;
    const stays = this.#isStopped && this.#isStill && incoming.phase === 'running';
    if (stays) journal?.pause(this.#state(this.#device)); // as `stopped` does
    else journal?.open();
    this.#isStopJournalled = stays;
    this.#isJournalled = false;
    if (!this.#isStopped) this.#isStill = false;
    threads.gate.placeByFault();
    guest.thaw?.();
    const runs = this.#isRestored && incoming.phase === 'running' && !this.#isStopped;
    this.#isRestored = false;
    if (runs) await guest.resume();
  }

  /** Nothing is missing, or nothing is here. */
  end(): void {
    if (!this.#isOurs) return;
    try {
      this.#parts.journal?.remove();
      this.#isStopJournalled = false;
    } catch {
      // It still says `open`, and nobody takes the guest up; or `paused`, and `beforeRun` will see to it.
    }
  }

  /**
   * Takes up what another process has left. The pages are in RAM already.
   *
   * @throws {MigrationError} `ERR_ARGUMENT`: this guest is not the one of the journal. Or what the guest says
   *   of its device state, or the host of userfaultfd.
   */
  async restore(left: PausedState): Promise<void> {
    const { guest, threads, incoming, doorkeeper } = this.#parts;
    refuseOtherRam(guest, left);
    guest.loadDeviceState(left.device);
    this.#device = left.device;
    // What its user has said meanwhile, to this process, is said last.
    this.#isStopped = guest.wanted === undefined ? left.isStopped : !guest.wanted;
    this.#isRestored = true;
    this.#isStill = true;
    this.#isJournalled = true;
    await guest.freeze?.(() => false);
    for (const [index, { received, sums }] of left.blocks.entries()) {
      threads.received.restore(index, received);
      if (sums !== undefined) threads.sums.restore(index, sums);
    }
    incoming.agree(left.capabilities);
    if (threads.gate.checks) await threads.fault.call('seal', []);
    await threads.preparePostcopy();
    await threads.preparePageChannels(left.pageChannels);
    threads.gate.takesCompressed = left.takesCompressed;
    threads.heartbeatMillis = left.heartbeatMillis;
    for (const [index, block] of guest.ram.entries()) {
      makeMissing(block, threads.received.bitmaps[index] as PageBitmap);
    }
    watchMissing(threads.gate.userfaultfd, guest.ram);
    threads.nowWatching();
    incoming.restore(left.phase);
    doorkeeper.restore({ migrationId: left.migrationId, secret: left.secret }, left.epoch);
    this.#isOurs = true;
    if (this.#isStopped !== left.isStopped) this.#parts.journal?.pause(this.#state(this.#device));
  }

  #state(device: Uint8Array): PausedState {
    const { guest, threads, incoming, doorkeeper } = this.#parts;
    const { session, epoch } = doorkeeper;
    if (session === undefined) throw new Error('there is no session');
    return {
      ...session,
      epoch,
      phase: incoming.phase === 'loaded' ? 'loaded' : 'running',
      isStopped: this.#isStopped,
      pageChannels: threads.gate.pageChannels,
      takesCompressed: threads.gate.takesCompressed,
      heartbeatMillis: threads.heartbeatMillis,
      capabilities: incoming.capabilities,
      device,
      blocks: guest.ram.map(({ id, byteLength }, index) => {
        const received = (threads.received.bitmaps[index] as PageBitmap).toBytes();
        // After what is received: a page is summed up before.
        const sums = threads.gate.sumsPages ? threads.sums.bytesOf(index) : undefined;
        return { id, byteLength, received, sums };
      }),
    };
  }
}

/** @throws {MigrationError} `ERR_ARGUMENT`: this guest cannot have a journal. */
export function checkJournalled(guest: Guest): void {
  const isInFiles = guest.ram.every(({ backing }) => backing.startsWith('file:'));
  if (!isInFiles || guest.ram.some(({ portable }) => portable !== undefined)) {
    const message = 'a journal takes RAM in files, and missing pages that the kernel notices';
    throw new MigrationError('ERR_ARGUMENT', message);
  }
  if (guest.freeze !== undefined && guest.thaw !== undefined) return;
  throw new MigrationError('ERR_ARGUMENT', 'a journal takes a guest with `freeze` and `thaw`');
}

function refuseOtherRam({ ram }: Guest, { blocks }: PausedState): void {
  const isSame =
    ram.length === blocks.length &&
    ram.every(({ id, byteLength }, i) => {
      return blocks[i]?.id === id && blocks[i].byteLength === byteLength;
    });
  if (!isSame) {
    const theirs = blocks.map(({ id, byteLength }) => `${id} of ${byteLength} bytes`).join(', ');
    throw new MigrationError('ERR_ARGUMENT', `the journal is of a guest with ${theirs}`);
  }
}

import { closeDescriptor, shutdownSocket } from '@godwit/posix';
import type { Role } from './framing/opening.ts';
import { limitSilence, limitUnread, limitUnsent } from './socket-limits.ts';

/** What carries a channel on, where its descriptor is not the connection itself: TLS. */
interface Carrier {
  /** Of what is behind the descriptor. */
  limitUnsent(byteLength: number): void;
  limitUnread(byteLength: number): void;
  limitSilence(millis: number): void;
  /** The descriptor is closed: what was written may still leave, a peer that takes nothing is not waited for. */
  letGo(): void;
  /** Resolves when all of it is closed. */
  readonly ended: Promise<void>;
}

/**
 * An opened connection as the page loops use it: a blocking descriptor and what it is for.
 *
 * Threads read and write the descriptor; whoever owns the session ends it in two steps, since a
 * thread blocked in the kernel can only be woken by `shutdown`, and a descriptor closed under a
 * thread may be another file's by its next call: `shutdown`, wait for the threads, `close`.
 */
export class Channel implements Disposable {
  readonly descriptor: number;
  readonly role: Role;
  readonly epoch: number;
  readonly #carrier: Carrier | undefined;
  #closed = false;

  constructor(descriptor: number, role: Role, epoch: number, carrier?: Carrier) {
    this.descriptor = descriptor;
    this.role = role;
    this.epoch = epoch;
    this.#carrier = carrier;
  }

  /** After `close`: resolves when what was written has left, or was given up, and nothing is left open. */
  get ended(): Promise<void> {
    return this.#carrier?.ended ?? Promise.resolve();
  }

  /**
   * Bounds what waits here to be sent, and so what is in front of whatever is written next: a write
   * waits instead. Of a Unix socket it is the size of the buffer.
   */
  limitUnsent(byteLength: number): void {
    limitUnsent(this.descriptor, byteLength);
    this.#carrier?.limitUnsent(byteLength);
  }

  /**
   * How long TCP may wait for a word from the peer's host, while something is on its way there and while
   * nothing is; whole seconds in the latter case. On a Unix socket the peer's end is the end of it.
   */
  limitSilence(millis: number): void {
    limitSilence(this.descriptor, millis);
    this.#carrier?.limitSilence(millis);
  }

  /**
   * Bounds what waits here to be read, from what has been offered to the peer before: bytes that it
   * cannot take back out of our buffer are in front of what it sends next.
   */
  limitUnread(byteLength: number): void {
    limitUnread(this.descriptor, byteLength);
    this.#carrier?.limitUnread(byteLength);
  }

  /** Wakes every thread that is blocked on it, at both ends; idempotent, safe at any time. */
  shutdown(): void {
    if (!this.#closed) shutdownSocket(this.descriptor, 'both');
  }

  /** Only when no thread uses the descriptor any more; idempotent. */
  close(): void {
    if (this.#closed) return;
    shutdownSocket(this.descriptor, 'both');
    this.#closed = true;
    closeDescriptor(this.descriptor);
    this.#carrier?.letGo();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

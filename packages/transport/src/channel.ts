import {
  closeDescriptor,
  setKeepAlive,
  setSocketBuffers,
  setUnsentMax,
  setUserTimeout,
  shutdownSocket,
  SystemError,
} from '@godwit/posix';
import type { Role } from './framing/opening.ts';

/** errno of an option that this kind of socket does not have. */
const EOPNOTSUPP = 95;

/** Probes of an idle TCP connection that may stay without an answer. */
const PROBES = 3;

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
  #closed = false;

  constructor(descriptor: number, role: Role, epoch: number) {
    this.descriptor = descriptor;
    this.role = role;
    this.epoch = epoch;
  }

  /**
   * Bounds what waits here to be sent, and so what is in front of whatever is written next: a write
   * waits instead. Of a Unix socket it is the size of the buffer.
   */
  limitUnsent(byteLength: number): void {
    const isTcp = this.#tryTcp(() => setUnsentMax(this.descriptor, byteLength));
    if (!isTcp) setSocketBuffers(this.descriptor, { sendBytes: byteLength });
  }

  /**
   * How long TCP may wait for a word from the peer's host, while something is on its way there and while
   * nothing is; whole seconds in the latter case. On a Unix socket the peer's end is the end of it.
   */
  limitSilence(millis: number): void {
    const seconds = Math.max(1, Math.floor(millis / 1000 / (PROBES + 1)));
    this.#tryTcp(() => {
      setUserTimeout(this.descriptor, millis);
      setKeepAlive(this.descriptor, {
        idleSeconds: seconds,
        intervalSeconds: seconds,
        count: PROBES,
      });
    });
  }

  /**
   * Bounds what waits here to be read, from what has been offered to the peer before: bytes that it
   * cannot take back out of our buffer are in front of what it sends next.
   */
  limitUnread(byteLength: number): void {
    setSocketBuffers(this.descriptor, { receiveBytes: byteLength });
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
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** @returns whether this socket has options of TCP. */
  #tryTcp(setOptions: () => void): boolean {
    try {
      setOptions();
      return true;
    } catch (error) {
      if (error instanceof SystemError && error.errno === EOPNOTSUPP) return false;
      throw error;
    }
  }
}

import { closeDescriptor, shutdownSocket } from '@godwit/posix';
import type { Role } from './framing/opening.ts';

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
}

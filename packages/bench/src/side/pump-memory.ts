import { allocateRam, type GuestRam, type RamBlock } from '@godwit/core';
import {
  Advice,
  advise,
  closeDescriptor,
  openUserfaultfd,
  RegisterMode,
  registerRange,
  SystemError,
} from '@godwit/posix';

import type { MemoryKind } from '../migrate/options.ts';
import { prepareMemory } from './memory.ts';
import type { PumpWork } from './pump-thread.ts';

/**
 * What the reading end of a pump fills: memory of the engine's own kind, from the same allocation as
 * that of a guest, so that both pay the same for each page.
 */
export class PumpMemory implements Disposable {
  readonly address: number;
  readonly byteLength: number;
  readonly work: PumpWork;
  readonly #ram: GuestRam;

  /** @param missing its pages can be missing, as those of a guest in postcopy: 4 KiB, to be placed. */
  constructor(byteLength: number, missing: boolean) {
    this.#ram = allocateRam([{ id: 'pump', byteLength }]);
    this.address = (this.#ram.blocks[0] as RamBlock).address; // what it was asked for
    this.byteLength = byteLength;
    this.work = missing ? { role: 'place', userfaultfd: this.#watchMissing() } : { role: 'read' };
  }

  /** To be called last before the clock starts. */
  prepare(kind: MemoryKind): void {
    prepareMemory(kind, this.address, this.byteLength);
  }

  [Symbol.dispose](): void {
    this.#ram[Symbol.dispose]();
    if (this.work.role === 'place') closeDescriptor(this.work.userfaultfd);
  }

  #watchMissing(): number {
    const userfaultfd = openUserfaultfd({ features: 0 });
    refuseHugePages(this.address, this.byteLength);
    registerRange(userfaultfd, this.address, this.byteLength, RegisterMode.MISSING);
    return userfaultfd;
  }
}

function refuseHugePages(address: number, byteLength: number): void {
  try {
    advise(address, byteLength, Advice.NOHUGEPAGE);
  } catch (error) {
    // A kernel without huge pages does not know the advice and does not need it.
    if (!(error instanceof SystemError) || error.code !== 'EINVAL') throw error;
  }
}

import assert from 'node:assert/strict';
import { type FileHandle, open } from 'node:fs/promises';
import type { GuestProcess } from './guest-process.ts';
import { within } from './wait.ts';

interface BlockAnswer {
  readonly id: string;
  readonly 'host-address': string;
  readonly size: number;
  readonly 'page-size': number;
}

/** How much of a block is read at once. */
const CHUNK_BYTES = 1024 * 1024;

/**
 * The memory of a guest process from outside, as QEMU's tests see it by `qtest_memread`: what lies
 * there, whatever the process says of it. Only to be looked at where no page is missing.
 */
export class GuestMemory implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #blocks: readonly BlockAnswer[];

  /** The test is the parent of the guest's process, which is all that Linux asks for. */
  static async open(guest: GuestProcess): Promise<GuestMemory> {
    const blocks = await guest.execute<BlockAnswer[]>('x-query-guest-ram');
    return new GuestMemory(await open(`/proc/${guest.pid}/mem`, 'r'), blocks);
  }

  private constructor(file: FileHandle, blocks: readonly BlockAnswer[]) {
    this.#file = file;
    this.#blocks = blocks;
  }

  /** Byte 0 of every page, in the order of the sweep. */
  async firstBytes(): Promise<Uint8Array> {
    const bytes: number[] = [];
    const chunk = Buffer.alloc(CHUNK_BYTES);
    for (const block of this.#blocks) {
      const begin = Number(block['host-address']); // user space ends below 2^53
      for (let offset = 0; offset < block.size; offset += CHUNK_BYTES) {
        const length = Math.min(CHUNK_BYTES, block.size - offset);
        const { bytesRead } = await this.#file.read(chunk, 0, length, begin + offset);
        assert.equal(bytesRead, length, `${block.id} is not all there`);
        for (let i = 0; i < length; i += block['page-size']) bytes.push(chunk[i] as number);
      }
    }
    return Uint8Array.from(bytes);
  }

  /** Of the very first page. */
  async firstByte(): Promise<number> {
    const byte = Buffer.alloc(1);
    await this.#file.read(byte, 0, 1, Number(this.#blocks[0]?.['host-address']));
    return byte[0] as number;
  }

  /** The sweep comes by the first page. */
  async firstByteChanges(): Promise<void> {
    const first = await this.firstByte();
    await poll('a change of the first byte', async () => (await this.firstByte()) !== first);
  }

  /** The guest writes, wherever. */
  async anyByteChanges(): Promise<void> {
    const before = Buffer.from(await this.firstBytes());
    await poll('a change in memory', async () => !before.equals(await this.firstBytes()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

/** Memory tells nobody that it changes: to look again is all one can do. */
async function poll(what: string, isSeen: () => Promise<boolean>): Promise<void> {
  const giveUp = new AbortController();
  const seen = async (): Promise<void> => {
    while (!giveUp.signal.aborted) if (await isSeen()) return;
  };
  try {
    await within(seen(), what);
  } finally {
    giveUp.abort();
  }
}

/**
 * QEMU's check of its a-b guest (`check_guests_ram`): each page is as often swept as the one before,
 * and once less from the place on that the sweep had reached.
 *
 * @returns the pages that are neither; a page of an earlier sweep, or of another place, is one.
 */
export function badPages(firstBytes: Uint8Array): number[] {
  const bad: number[] = [];
  let last = firstBytes[0] as number;
  let hasEdge = false;
  for (const [page, byte] of firstBytes.entries()) {
    if (byte === last) continue;
    if (byte === (last + 255) % 256 && !hasEdge) {
      hasEdge = true; // the sweep was here when the guest was stopped
      last = byte;
    } else bad.push(page);
  }
  return bad;
}

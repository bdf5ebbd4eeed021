import { ChannelError, type ReceivedProof } from '@godwit/transport';
import { checkPadding } from '../memory/bitmap-frames.ts';
import { PageBitmap } from '../memory/page-bitmap.ts';
import type { PageRun } from '../memory/page-run.ts';
import { isSameReceived, proofOf } from '../memory/received-pages.ts';

interface BitmapPart extends PageRun {
  readonly bytes: Uint8Array;
}

/** The bitmaps of a recovery as they come in: each block's in order, without gaps. */
export class RecvBitmaps {
  readonly #bitmaps: readonly PageBitmap[];
  readonly #arrived: number[];

  constructor(blockPages: readonly number[]) {
    this.#bitmaps = blockPages.map((pages) => new PageBitmap(pages));
    this.#arrived = blockPages.map(() => 0);
  }

  /** The frame's header was checked: the run is inside its block. @throws {ChannelError} `ERR_PROTOCOL`. */
  add(part: BitmapPart): void {
    const { block, firstPage, pageCount, bytes } = part;
    const bitmap = this.#bitmaps[block] as PageBitmap;
    if (firstPage !== this.#arrived[block]) {
      throw new ChannelError(
        'ERR_PROTOCOL',
        `RECV_BITMAP of block ${block} from page ${firstPage}`,
      );
    }
    checkPadding('RECV_BITMAP', part, bytes);
    new Uint8Array(bitmap.buffer).set(bytes, firstPage / 8);
    this.#arrived[block] = firstPage + pageCount;
  }

  /**
   * What the destination lacks becomes what is dirty here; no thread may claim pages meanwhile.
   *
   * @param proof what the destination says it has sent.
   * @throws {ChannelError} `ERR_PROTOCOL`: bitmaps are missing, or not what it counted.
   */
  replaceDirty(dirty: readonly PageBitmap[], proof: ReceivedProof): void {
    const complete = this.#bitmaps.every((bitmap, i) => bitmap.pages === this.#arrived[i]);
    if (!complete || !isSameReceived(proof, proofOf(this.#bitmaps))) {
      throw new ChannelError(
        'ERR_PROTOCOL',
        'the received bitmaps are not what the destination counted',
      );
    }
    for (const [block, received] of this.#bitmaps.entries()) {
      (dirty[block] as PageBitmap).assignComplement(received);
    }
  }
}

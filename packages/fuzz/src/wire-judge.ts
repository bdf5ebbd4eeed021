import { createHash } from 'node:crypto';
import { type Direction, HELLO_BYTES } from '@godwit/chaos';
import { FRAME_HEADER_BYTES, FrameType } from '@godwit/transport';
import { blockPages } from './guarded-ram.ts';
import type { WireJudge } from './relay.ts';
import { controlOf, type Message, WireCutter } from './wire-cutter.ts';

const pageTypes: ReadonlySet<number> = new Set([
  FrameType.PAGES,
  FrameType.ZERO,
  FrameType.ZLIB_PAGES,
]);
/** Words of a destination that make a source let go of its guest, or of what the guest lacks. */
const commitments: ReadonlySet<unknown> = new Set(['loaded', 'running', 'complete', 'recovering']);

/** What each end was told, read from the very bytes that reached it. */
export class Judge implements WireJudge {
  /** Pages of each block that a frame named which no real source sent. */
  readonly tamperedPages: readonly Set<number>[] = blockPages.map(() => new Set());
  /** The order to run has reached the destination; whoever gave it. */
  hasOrder = false;
  /** Nobody but us gave an order to run, or gave up in the source's name. */
  isOrderForged = false;
  /** Nobody but us said, in the source's name, that it has heard of the completion: nobody tells it again. */
  isEndForged = false;
  /** Something that commits the source came from us. */
  isAnswerForged = false;
  readonly #genuine = new Set<string>();
  readonly #cutters = new Map<string, WireCutter>();

  onGenuine(direction: Direction, message: Message): void {
    this.#genuine.add(direction + digestOf(message.bytes));
  }

  onPassed(connection: number, direction: Direction, bytes: Uint8Array): void {
    const key = `${direction} ${connection}`;
    const cutter = this.#cutters.get(key) ?? new WireCutter(direction);
    this.#cutters.set(key, cutter);
    for (const message of cutter.push(bytes)) this.#judge(direction, message);
  }

  /** Frames of ours that come without an opening in front. */
  onBlast(frame: Buffer): void {
    const cutter = new WireCutter('to-destination');
    cutter.push(Buffer.alloc(HELLO_BYTES));
    for (const message of cutter.push(frame)) this.#judge('to-destination', message);
  }

  #judge(direction: Direction, { bytes, isFrame }: Message): void {
    if (!isFrame) return;
    const isGenuine = this.#genuine.has(direction + digestOf(bytes));
    const type = bytes.readUInt8(0);
    const word = controlOf(bytes)?.['t'];
    if (direction === 'to-source') {
      if (commitments.has(word) && !isGenuine) this.isAnswerForged = true;
      return;
    }
    if (word === 'run') this.hasOrder = true;
    if (word === 'finished' && !isGenuine) this.isEndForged = true;
    if ((word === 'run' || word === 'abandon') && !isGenuine) this.isOrderForged = true;
    if (pageTypes.has(type) && !isGenuine) this.#tamperedRun(bytes);
  }

  #tamperedRun(frame: Buffer): void {
    const tampered = this.tamperedPages[frame.readUInt16LE(2)];
    const pages = blockPages[frame.readUInt16LE(2)] ?? 0;
    const first = Number(frame.readBigUInt64LE(8));
    const end = Math.min(first + frame.readUInt32LE(16), pages);
    for (let page = first; page < end; page++) tampered?.add(page);
  }
}

function digestOf(bytes: Buffer): string {
  return (
    createHash('sha256').update(bytes).digest('base64') +
    bytes.subarray(0, FRAME_HEADER_BYTES).toString('base64')
  );
}

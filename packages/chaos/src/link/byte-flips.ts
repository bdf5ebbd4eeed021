import { describeMatcher, type FrameMatcher, isMatch } from './frame-matcher.ts';
import { Deferred, within } from '../wait.ts';
import type { SeenFrame } from './wire-reader.ts';

export interface FlipOptions extends FrameMatcher {
  /** In the message, header included; negative: from its end. One that is shorter is left alone. */
  readonly offset: number;
  /** The bits that are turned over; default the lowest. */
  readonly mask?: number;
  /** In how many messages, from now on; default one. */
  readonly times?: number;
}

interface Flipper {
  readonly options: FlipOptions;
  readonly done: Deferred<SeenFrame>;
  timesLeft: number;
}

/** Bits that change on their way, as no checksum of the network has noticed them. */
export class ByteFlips {
  /** Messages that were not forwarded as they came. */
  readonly flipped: SeenFrame[] = [];
  readonly #flippers = new Set<Flipper>();
  /** Of messages under way: offsets and masks. */
  readonly #chosen = new WeakMap<SeenFrame, readonly (readonly [offset: number, mask: number])[]>();

  /** @returns when it has happened for the last time, the message; a test may stop waiting for it. */
  flip(options: FlipOptions): Promise<SeenFrame> {
    const timesLeft = options.times ?? 1;
    const flipper = { options, timesLeft, done: new Deferred<SeenFrame>() };
    this.#flippers.add(flipper);
    const flipped = within(flipper.done.promise, `a flip in ${describeMatcher(options)}`);
    flipped.catch(() => undefined); // told to whoever waits; nobody has to
    return flipped;
  }

  /** @param offset of the bytes, in the message. @returns what is to be forwarded. */
  apply(frame: SeenFrame, offset: number, bytes: Buffer): Buffer {
    if (offset === 0) this.#choose(frame);
    const flips = this.#chosen.get(frame);
    if (flips === undefined) return bytes;
    const altered = Buffer.from(bytes);
    for (const [at, mask] of flips) {
      const index = at - offset;
      if (index < 0 || index >= altered.byteLength) continue;
      altered.writeUInt8(altered.readUInt8(index) ^ mask, index);
    }
    return altered;
  }

  #choose(frame: SeenFrame): void {
    const flips: [number, number][] = [];
    for (const flipper of this.#flippers) {
      const { offset, mask = 1 } = flipper.options;
      const at = offset < 0 ? frame.byteLength + offset : offset;
      if (at < 0 || at >= frame.byteLength || !isMatch(flipper.options, frame)) continue;
      flips.push([at, mask]);
      flipper.timesLeft -= 1;
      if (flipper.timesLeft > 0) continue;
      this.#flippers.delete(flipper);
      flipper.done.resolve(frame);
    }
    if (flips.length === 0) return;
    this.#chosen.set(frame, flips);
    this.flipped.push(frame);
  }
}

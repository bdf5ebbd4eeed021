import { setTimeout as sleep } from 'node:timers/promises';

import type { FrameMatcher } from './link/frame-matcher.ts';
import type { LinkProxy } from './link/link-proxy.ts';
import type { Hold } from './link/link-rules.ts';
import type { SeenFrame } from './link/wire-reader.ts';
import type { Fault, Point, SideName } from './schedule.ts';
import type { Side } from './side.ts';

/** What a fault happens to. */
export interface Target {
  readonly link: LinkProxy;
  readonly side: (name: SideName) => Side;
}

/** A fault that waits for its moment. */
export class ArmedFault {
  readonly fault: Fault;
  readonly #link: LinkProxy;
  readonly #doing: Promise<void>;
  readonly #end = new AbortController();
  #hold: Hold | undefined;
  #hasCome = false;
  #holding: Side | undefined;

  constructor(fault: Fault, target: Target) {
    this.fault = fault;
    this.#link = target.link;
    // Not reached, or the link is gone: then it has not come about.
    this.#doing = this.#arm(fault, target).catch(() => undefined);
  }

  /** It has happened. */
  get hasCome(): boolean {
    return this.#hasCome;
  }

  /** Its moment is over; what it does to the link all the time ends. */
  async end(): Promise<void> {
    this.#end.abort();
    this.#holding?.letGo();
    this.#hold?.release();
    const link = this.#link;
    link.forgetCuts();
    link.releaseAll();
    link.writeSingly(0);
    link.delayMillis = 0;
    link.bytesPerSecond = 0;
    await Promise.race([this.#doing, sleep(0)]); // it may wait for what never comes
  }

  async #arm(fault: Fault, { link, side }: Target): Promise<void> {
    switch (fault.kind) {
      case 'cut-fin':
      case 'cut-rst':
        await this.#cut(fault, link);
        return this.#came();
      case 'black-hole':
        return await this.#at(fault.point, () => link.silence(fault.only));
      case 'delay':
        return await this.#at(fault.point, () => (link.delayMillis = fault.millis));
      case 'throttle':
        return await this.#at(fault.point, () => (link.bytesPerSecond = fault.bytesPerSecond));
      case 'reorder':
        await link.overtakeNext(fault.limitMillis);
        return this.#came();
      case 'one-byte':
        link.writeSingly(fault.bytes);
        return this.#came();
      case 'corrupt': {
        const { offset, mask, point } = fault;
        await link.corruptWhen({ ...matcherOf(point), offset, mask });
        return this.#came();
      }
      case 'kill':
        return await this.#at(fault.point, () => side(fault.side).kill());
      case 'stop':
        return await this.#at(fault.point, () => void this.#stop(side(fault.side), fault.millis));
    }
  }

  async #cut(fault: Extract<Fault, { at: string }>, link: LinkProxy): Promise<void> {
    const { point, at } = fault;
    const kind = fault.kind === 'cut-fin' ? 'fin' : 'rst';
    if ('bytes' in point) await link.cutAfterBytes({ ...point, kind });
    else await link.cutWhen({ ...matcherOf(point), at, kind });
  }

  /** Nothing of the message at the point has passed when it is done. */
  async #at(point: Point, act: () => unknown): Promise<void> {
    this.#hold = this.#link.hold(matcherOf(point), 'nth' in point ? point.nth : 1);
    await this.#hold.reached;
    if (this.#end.signal.aborted) return;
    this.#came();
    act();
    this.#hold.release();
  }

  async #stop(side: Side, millis: number): Promise<void> {
    this.#holding = side;
    side.hold();
    await sleep(millis, undefined, this.#end).catch(() => undefined);
    side.letGo();
  }

  #came(): void {
    this.#hasCome ||= !this.#end.signal.aborted;
  }
}

/** Of all that goes that way, on whichever connection. */
function matcherOf(point: Point): FrameMatcher & { readonly nth?: number } {
  const { direction } = point;
  if ('frame' in point) return { direction, frame: point.frame, nth: point.nth };
  let bytes = 0;
  const isBeyond = ({ byteLength }: SeenFrame): boolean => {
    bytes += byteLength;
    return bytes > point.bytes;
  };
  return { direction, frame: isBeyond };
}

import type { Role } from '@godwit/transport';
import { ByteFlips } from './byte-flips.ts';
import {
  type CutKind,
  describeMatcher,
  type FrameMatcher,
  fires,
  isMatch,
  type Trigger,
} from './frame-matcher.ts';
import type { CutPoint, Damage, Lane, LinkConnection, Traffic } from './link-connection.ts';
import { Deferred, Journal, within } from '../wait.ts';
import type { Direction, SeenFrame } from './wire-reader.ts';

export interface CutOptions extends FrameMatcher {
  readonly at: 'before' | 'middle' | 'after';
  /** Which match, counted from now on; 1 is the next. */
  readonly nth?: number;
  readonly kind?: CutKind;
  /** Only the connection that carries the message; by default all there are. */
  readonly alone?: boolean;
}

export interface CutAfterBytesOptions {
  readonly direction: Direction;
  /** Counted from now on, in each connection on its own. */
  readonly bytes: number;
  /** Left out: also before the hello has said what the connection is for. */
  readonly role?: Role;
  readonly kind?: CutKind;
}

export interface CorruptOptions extends FrameMatcher {
  /** Of the byte in the message, header included; beyond its end it counts from the start again. */
  readonly offset: number;
  /** What the byte is combined with, 1 to 255. */
  readonly mask: number;
  /** Which match, counted from now on; 1 is the next. */
  readonly nth?: number;
}

/** One direction of a connection stands still before a message, until it is let go or cut. */
export interface Hold {
  /** The message has come and waits. */
  readonly reached: Promise<SeenFrame>;
  release(): void;
}

interface Holder {
  readonly trigger: Trigger;
  readonly reached: Deferred<SeenFrame>;
  readonly opened: Deferred<void>;
}

interface Cutter {
  readonly options: CutOptions;
  readonly trigger: Trigger;
  readonly done: Deferred<SeenFrame>;
}

interface Corrupter {
  readonly options: CorruptOptions;
  readonly trigger: Trigger;
  readonly done: Deferred<SeenFrame>;
}

interface ByteCutter {
  readonly options: CutAfterBytesOptions;
  readonly bytesLeft: Map<Lane, number>;
  readonly done: Deferred<void>;
}

/** What the tests have asked for, and what has passed; knows nothing of listening and dialling. */
export abstract class LinkRules implements Traffic {
  /** Everything that began to pass, in order; what is held is in it already. */
  readonly frames = new Journal<SeenFrame>();
  /** What somebody said that is not the protocol. */
  readonly violations: Error[] = [];
  readonly flips = new ByteFlips();
  /** Before what was read at once is forwarded. */
  delayMillis = 0;
  /** In each direction of each connection; 0 is unlimited. */
  bytesPerSecond = 0;
  readonly #holders = new Set<Holder>();
  readonly #cutters = new Set<Cutter>();
  readonly #byteCutters = new Set<ByteCutter>();
  readonly #corrupters = new Set<Corrupter>();
  readonly #silences = new Map<Direction, Deferred<void>>();
  #single: { readonly bytes: number; readonly left: Map<Lane, number> } | undefined;

  /** Ends all connections, or those of one role. */
  abstract cut(kind?: CutKind, which?: { readonly role?: Role }): void;

  /** @returns when it was cut, the message at which; a test may stop waiting for it. */
  cutWhen(options: CutOptions): Promise<SeenFrame> {
    const trigger = { matcher: options, matchesLeft: options.nth ?? 1 };
    const cutter = { options, trigger, done: new Deferred<SeenFrame>() };
    this.#cutters.add(cutter);
    const what = `the cut ${options.at} ${describeMatcher(options)}`;
    return this.#inTime(cutter.done, what);
  }

  /** @returns when it was cut; a test may stop waiting for it. */
  cutAfterBytes(options: CutAfterBytesOptions): Promise<void> {
    const cutter = { options, bytesLeft: new Map<Lane, number>(), done: new Deferred<void>() };
    this.#byteCutters.add(cutter);
    const what = `the cut after ${options.bytes} bytes ${options.direction}`;
    return this.#inTime(cutter.done, what);
  }

  /** @returns when the byte has been changed; a test may stop waiting for it. */
  corruptWhen(options: CorruptOptions): Promise<SeenFrame> {
    const trigger = { matcher: options, matchesLeft: options.nth ?? 1 };
    const corrupter = { options, trigger, done: new Deferred<SeenFrame>() };
    this.#corrupters.add(corrupter);
    return this.#inTime(corrupter.done, `the corruption of ${describeMatcher(options)}`);
  }

  /** What was asked for of the next message, byte or connection, and has not come about, will not. */
  forgetCuts(): void {
    this.#cutters.clear();
    this.#byteCutters.clear();
    this.#corrupters.clear();
  }

  /**
   * Of each direction of each connection, those to come included, so many bytes from now on are written
   * one at a time; 0: as they come.
   */
  writeSingly(bytes: number): void {
    this.#single = bytes > 0 ? { bytes, left: new Map() } : undefined;
  }

  /** Only the direction of the message stands still; the other goes on. */
  hold(matcher: FrameMatcher, nth = 1): Hold {
    const trigger = { matcher, matchesLeft: nth };
    const holder = { trigger, reached: new Deferred<SeenFrame>(), opened: new Deferred<void>() };
    this.#holders.add(holder);
    const what = `${describeMatcher(matcher)}, to be held,`;
    return {
      reached: this.#inTime(holder.reached, what),
      release: () => this.#release(holder),
    };
  }

  /**
   * From the next message on nothing passes and nobody is told, as on a link whose cable was pulled.
   *
   * @param direction only this one, as behind a firewall that has forgotten one half.
   */
  silence(direction?: Direction): void {
    for (const each of ['to-destination', 'to-source'] as const) {
      if (direction !== undefined && direction !== each) continue;
      if (!this.#silences.has(each)) this.#silences.set(each, new Deferred<void>());
    }
  }

  /** What waited goes on, unless it was cut; no hold is left. */
  releaseAll(): void {
    for (const holder of this.#holders) this.#release(holder);
    for (const silence of this.#silences.values()) silence.resolve();
    this.#silences.clear();
  }

  /** @returns the first such message from `since` on (an index of `frames.entries`), by default ever. */
  async seen(
    matcher: FrameMatcher,
    options: { readonly since?: number; readonly limitMillis?: number } = {},
  ): Promise<SeenFrame> {
    const { since = 0, limitMillis } = options;
    const isMeant = (frame: SeenFrame): boolean => isMatch(matcher, frame);
    const wanted = { since, limitMillis, what: describeMatcher(matcher) };
    return this.frames.entries[await this.frames.find(isMeant, wanted)] as SeenFrame;
  }

  /** How many such messages have begun to pass. */
  count(matcher: FrameMatcher): number {
    return this.frames.entries.filter((frame) => isMatch(matcher, frame)).length;
  }

  async onFrame(frame: SeenFrame, connection: LinkConnection): Promise<CutPoint | undefined> {
    this.frames.add(frame);
    for (const holder of this.#holders) {
      if (!fires(holder.trigger, frame)) continue;
      holder.reached.resolve(frame);
      await holder.opened.promise;
    }
    await this.#silences.get(frame.direction)?.promise;
    for (const cutter of this.#cutters) {
      if (!fires(cutter.trigger, frame)) continue;
      this.#cutters.delete(cutter);
      return this.#cutPoint(cutter, frame, connection);
    }
    return undefined;
  }

  onBytes(lane: Lane, byteLength: number): CutPoint | undefined {
    for (const cutter of this.#byteCutters) {
      const { direction, role, bytes, kind } = cutter.options;
      if (direction !== lane.direction) continue;
      if (role !== undefined && role !== lane.connection.identity.role) continue;
      const bytesLeft = cutter.bytesLeft.get(lane) ?? bytes;
      cutter.bytesLeft.set(lane, bytesLeft - byteLength);
      if (bytesLeft > byteLength) continue;
      this.#byteCutters.delete(cutter);
      const cut = (): void => {
        this.cut(kind);
        cutter.done.resolve();
      };
      return { bytesLeft, cut };
    }
    return undefined;
  }

  alter(frame: SeenFrame, offset: number, bytes: Buffer): Buffer {
    return this.flips.apply(frame, offset, bytes);
  }

  async onEnd(direction: Direction): Promise<void> {
    await this.#silences.get(direction)?.promise;
  }

  damageTo(frame: SeenFrame): Damage | undefined {
    for (const corrupter of this.#corrupters) {
      if (!fires(corrupter.trigger, frame)) continue;
      this.#corrupters.delete(corrupter);
      const { offset, mask } = corrupter.options;
      const done = (): void => corrupter.done.resolve(frame);
      return { offset: offset % frame.byteLength, mask, done };
    }
    return undefined;
  }

  takeSingles(lane: Lane, byteLength: number): number {
    if (this.#single === undefined) return 0;
    const left = this.#single.left.get(lane) ?? this.#single.bytes;
    const singles = Math.min(left, byteLength);
    this.#single.left.set(lane, left - singles);
    return singles;
  }

  onViolation(error: Error): void {
    this.violations.push(error);
  }

  #cutPoint(cutter: Cutter, frame: SeenFrame, connection: LinkConnection): CutPoint {
    const { at, kind = 'rst', alone = false } = cutter.options;
    const shares = { before: 0, middle: 0.5, after: 1 };
    const cut = (): void => {
      if (alone) connection.cut(kind);
      else this.cut(kind);
      cutter.done.resolve(frame);
    };
    return { bytesLeft: Math.floor(frame.byteLength * shares[at]), cut };
  }

  #inTime<T>(deferred: Deferred<T>, what: string): Promise<T> {
    const promise = within(deferred.promise, what, undefined, () => this.describe());
    promise.catch(() => undefined); // told to whoever waits; nobody has to
    return promise;
  }

  #release(holder: Holder): void {
    this.#holders.delete(holder);
    holder.opened.resolve();
  }

  /** What passed last, for a failure. */
  describe(): string {
    const last = this.frames.entries.slice(-40);
    const names = last.map(({ connection, direction, name }) => {
      return `${connection.role ?? '?'}${connection.epoch ?? ''} ${direction} ${name}`;
    });
    return `; the last to pass:\n  ${names.join('\n  ')}`;
  }
}

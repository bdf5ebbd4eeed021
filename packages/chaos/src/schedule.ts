import { assertNever } from '@godwit/transport';

import type { Transport } from './link/addresses.ts';
import type { Direction, FrameName } from './link/wire-reader.ts';
import { Random } from './random.ts';

/** What may happen to a migration. */
export const faultKinds = [
  'cut-fin',
  'cut-rst',
  'black-hole',
  'delay',
  'throttle',
  'reorder',
  'one-byte',
  'corrupt',
  'kill',
  'stop',
] as const;

export type FaultKind = (typeof faultKinds)[number];

/** When: at the nth message of a name, or at the first message after so many bytes. */
export type Point = { readonly direction: Direction } & (
  | { readonly frame: FrameName; readonly nth: number }
  | { readonly bytes: number }
);

export type SideName = 'source' | 'destination';

/** What happens in one attempt to get the guest across: all that a replay needs. */
export type Fault =
  | {
      readonly kind: 'cut-fin' | 'cut-rst';
      readonly point: Point;
      /** Of the message at the point, where that is one. */
      readonly at: 'before' | 'middle' | 'after';
    }
  | {
      readonly kind: 'black-hole';
      readonly point: Point;
      /** Left out: nothing passes either way. */
      readonly only?: Direction;
    }
  | { readonly kind: 'delay'; readonly point: Point; readonly millis: number }
  | { readonly kind: 'throttle'; readonly point: Point; readonly bytesPerSecond: number }
  /** A connection reaches the destination after the one that was opened after it, or after so long. */
  | { readonly kind: 'reorder'; readonly limitMillis: number }
  | { readonly kind: 'one-byte'; readonly bytes: number }
  | {
      readonly kind: 'corrupt';
      readonly point: Point;
      readonly offset: number;
      readonly mask: number;
    }
  | { readonly kind: 'kill'; readonly point: Point; readonly side: SideName }
  | {
      readonly kind: 'stop';
      readonly point: Point;
      readonly side: SideName;
      readonly millis: number;
    };

export interface Plan {
  readonly seed: number;
  readonly transport: Transport;
  readonly mode: 'precopy' | 'postcopy';
  readonly memoryMode: 'userfault' | 'portable';
  /** `8M` */
  readonly memory: string;
  readonly workload: 'sweep' | 'random' | 'zipf' | 'idle';
  readonly vcpus: number;
  /** Pages/s. */
  readonly rate: number;
  /** Share of the pages that are not zero at first. */
  readonly fill: number;
  readonly preempt: boolean;
  /** Page channels; 0: no multifd. */
  readonly channels: number;
  readonly compression: boolean;
  /** Bytes/s of precopy and of postcopy; 0: no limit. */
  readonly bandwidth: number;
  readonly postcopyBandwidth: number;
  /** One for each attempt, in this order; the attempts after them are left alone. */
  readonly faults: readonly Fault[];
}

/** What the engine that is tried offers. */
export interface Offers {
  /** Heartbeats: silence is noticed, and in what time (milliseconds). */
  readonly linkTimeoutMillis?: number | undefined;
  /** Checksums: any corrupted byte is noticed. */
  readonly checksum: boolean;
  /** Memory modes that this host allows. */
  readonly memoryModes: readonly Plan['memoryMode'][];
}

/** @returns the kinds that can be tried on what the engine offers. */
export function triableKinds(offers: Offers): FaultKind[] {
  return faultKinds.filter((kind) => {
    return kind !== 'black-hole' || offers.linkTimeoutMillis !== undefined;
  });
}

const FAULTS_MAX = 3;
const MEBIBYTE = 1024 * 1024;

/**
 * What one run does, drawn from its seed: the same seed, kinds and offers give the same plan.
 *
 * @param kinds not empty.
 */
export function planRun(seed: number, kinds: readonly FaultKind[], offers: Offers): Plan {
  const random = new Random('plan', seed);
  const mode = random.pick(['precopy', 'postcopy', 'postcopy'] as const);
  const mebibytes = random.pick([8, 16, 32]);
  const channels = random.chance(0.4) ? random.between(1, 5) : 0;
  const plan = {
    seed,
    mode,
    transport: random.pick(['unix', 'tcp'] as const),
    memoryMode: random.chance(0.2) ? ('portable' as const) : ('userfault' as const),
    memory: `${mebibytes}M`,
    workload: random.pick(['sweep', 'random', 'zipf', 'idle'] as const),
    vcpus: random.between(1, 4),
    rate: random.pick([500, 5000, 20_000]),
    fill: random.pick([0, 0.5, 1]),
    preempt: random.chance(0.7),
    channels,
    compression: channels > 0 && random.chance(0.3),
    bandwidth: random.pick([0, 60_000_000]),
    postcopyBandwidth: random.pick([0, 10_000_000, 40_000_000]),
  };
  const faultCount = random.between(1, FAULTS_MAX + 1);
  const drawn = { mode, bytesMax: mebibytes * MEBIBYTE };
  const faults = Array.from({ length: faultCount }, (_, attempt) => {
    return drawFault(random.pick(kinds), random, { ...drawn, isFirst: attempt === 0 }, offers);
  });
  const { memoryModes } = offers;
  // What the host refuses is replaced at the end, so that all else stays as drawn.
  const memoryMode = memoryModes.includes(plan.memoryMode) ? plan.memoryMode : memoryModes[0];
  return { ...plan, memoryMode: memoryMode ?? 'portable', faults };
}

interface Setting {
  readonly mode: Plan['mode'];
  readonly bytesMax: number;
  /** Else it may be a recovery. */
  readonly isFirst: boolean;
}

function drawFault(kind: FaultKind, random: Random, setting: Setting, offers: Offers): Fault {
  switch (kind) {
    case 'cut-fin':
    case 'cut-rst':
      return {
        kind,
        point: drawPoint(random, setting),
        at: random.pick(['before', 'middle', 'after']),
      };
    case 'black-hole': {
      const only = random.pick([undefined, 'to-destination', 'to-source'] as const);
      return { kind, point: drawPoint(random, setting), ...(only === undefined ? {} : { only }) };
    }
    case 'delay':
      return { kind, point: drawPoint(random, setting), millis: random.between(1, 8) };
    case 'throttle': {
      const bytesPerSecond = random.between(10, 50) * 1_000_000;
      return { kind, point: drawPoint(random, setting), bytesPerSecond };
    }
    case 'reorder':
      return { kind, limitMillis: random.between(50, 1500) };
    case 'one-byte':
      return { kind, bytes: random.between(100, 10_000) };
    case 'corrupt':
      return drawCorruption(random, setting, offers);
    case 'kill':
      return { kind, point: drawPoint(random, setting), side: drawSide(random) };
    case 'stop':
      return {
        kind,
        point: drawPoint(random, setting),
        side: drawSide(random),
        millis: drawStop(random, offers),
      };
    default:
      return assertNever(kind);
  }
}

function drawSide(random: Random): SideName {
  return random.pick(['source', 'destination']);
}

/** Also for longer than anybody stays silent, where that is noticed. */
function drawStop(random: Random, { linkTimeoutMillis = 0 }: Offers): number {
  const isLong = random.chance(0.5);
  const millis = random.between(20, 600);
  return isLong && linkTimeoutMillis > 0 ? linkTimeoutMillis * 2 + millis : millis;
}

/** Every byte, where there are checksums; else the type of a message, which nobody takes for another. */
function drawCorruption(random: Random, setting: Setting, { checksum }: Offers): Fault {
  const offset = random.between(0, MEBIBYTE);
  const mask = random.between(1, 256);
  const frame = random.pick(['PAGES', 'PAGES', 'pass', 'DEVICE', 'run'] as const);
  const point = { direction: 'to-destination' as const, frame, nth: random.between(1, 4) };
  if (!checksum) return { kind: 'corrupt', point, offset: 0, mask: 0x80 };
  return { kind: 'corrupt', point: setting.isFirst ? point : { ...point, nth: 1 }, offset, mask };
}

/** The messages of a migration, and of a recovery. */
const frames = {
  'to-destination': {
    precopy: ['hello', 'start', 'PAGES', 'PAGES', 'pass', 'DEVICE', 'run', 'finished'],
    postcopy: ['start', 'PAGES', 'DISCARD', 'listen', 'DEVICE', 'run', 'PAGES', 'end', 'finished'],
    recovery: ['hello', 'recover', 'run', 'resume', 'PAGES', 'PAGES', 'end', 'finished'],
  },
  'to-source': {
    precopy: ['greeting', 'answer', 'started', 'loaded', 'running', 'complete'],
    postcopy: ['answer', 'started', 'flushed', 'loaded', 'running', 'REQUEST', 'complete'],
    recovery: ['answer', 'RECV_BITMAP', 'recovering', 'resumed', 'REQUEST', 'complete'],
  },
} as const;

const repeated: ReadonlySet<FrameName> = new Set(['PAGES', 'REQUEST', 'DISCARD', 'RECV_BITMAP']);

function drawPoint(random: Random, { mode, bytesMax, isFirst }: Setting): Point {
  const direction = random.pick(['to-destination', 'to-destination', 'to-source'] as const);
  const isByBytes = random.chance(0.4);
  const bytes = random.between(0, direction === 'to-source' ? 2000 : bytesMax * 1.2);
  const phase = isFirst || random.chance(0.3) ? mode : 'recovery';
  const frame = random.pick<FrameName>(frames[direction][phase]);
  const nth = repeated.has(frame) ? random.between(1, 6) : 1;
  return isByBytes ? { direction, bytes } : { direction, frame, nth };
}

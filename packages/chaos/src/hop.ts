import type { Transport } from './link/addresses.ts';
import type { FrameName } from './link/wire-reader.ts';
import { Random } from './random.ts';
import type { Fault } from './schedule.ts';

/** By what means the guest goes from one process to the other. */
export interface Hop {
  readonly mode: 'precopy' | 'postcopy';
  readonly transport: Transport;
  readonly preempt: boolean;
  /** Page channels; 0: no multifd. */
  readonly channels: number;
  /** Bytes/s; 0: no limit. */
  readonly postcopyBandwidth: number;
  readonly cut: Extract<Fault, { readonly at: string }> | undefined;
}

/**
 * Where the link may be cut so that both processes can go on: not between the device state and the order
 * to run, where a destination never learns that the guest has stayed.
 */
const frames = {
  'to-destination': ['hello', 'start', 'PAGES', 'PAGES', 'run', 'finished'],
  'to-source': ['greeting', 'answer', 'started', 'running', 'complete'],
} as const;

export function drawHop(seed: number, number: number): Hop {
  const random = new Random(`hop ${number}`, seed);
  const mode = random.pick(['precopy', 'postcopy'] as const);
  const transport = random.pick(['unix', 'tcp'] as const);
  const preempt = random.chance(0.7);
  const channels = random.chance(0.3) ? random.between(1, 4) : 0;
  const postcopyBandwidth = random.pick([0, 40_000_000]);
  const direction = random.pick(['to-destination', 'to-source'] as const);
  const frame = random.pick<FrameName>(frames[direction]);
  const nth = frame === 'PAGES' ? random.between(1, 5) : 1;
  const kind = random.pick(['cut-fin', 'cut-rst'] as const);
  const at = random.pick(['before', 'middle', 'after'] as const);
  const cut = { kind, point: { direction, frame, nth }, at };
  const isCut = random.chance(0.5);
  return {
    mode,
    transport,
    preempt,
    channels,
    postcopyBandwidth,
    cut: isCut ? cut : undefined,
  };
}

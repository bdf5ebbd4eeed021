import { cpus } from 'node:os';

import { bySide, type SideView, type WatchedSide } from '../watch/watched-side.ts';

/** How things stand at one moment; of two of them {@link whyOf} makes a verdict. */
export interface WhySample {
  /** When it was taken, on a clock that only the difference counts of. */
  readonly millis: number;
  readonly source?: SideView;
  readonly destination?: SideView;
  /** Processor time of this host, where a side runs on it: busy and in all, in milliseconds. */
  readonly host?: { readonly busyMillis: number; readonly totalMillis: number };
}

/** @throws {QmpSocketError} a side cannot be asked any more. */
export async function takeSample(sides: readonly WatchedSide[]): Promise<WhySample> {
  const asked = performance.now();
  const views = await Promise.all(sides.map(async (side) => await side.ask(0)));
  const millis = (asked + performance.now()) / 2;
  for (const { lost, qmp } of views) {
    if (lost !== undefined) throw new Error(`${qmp} cannot be asked any more: ${lost}`);
  }
  // QMP over unix: is on this host, and over tcp: ours listens to this host alone.
  return { millis, ...bySide(views), host: hostTimes() };
}

function hostTimes(): NonNullable<WhySample['host']> {
  const times = cpus().map((cpu) => cpu.times);
  const totalMillis = times.reduce((sum, t) => sum + t.user + t.nice + t.sys + t.irq + t.idle, 0);
  const idleMillis = times.reduce((sum, t) => sum + t.idle, 0);
  return { busyMillis: totalMillis - idleMillis, totalMillis };
}

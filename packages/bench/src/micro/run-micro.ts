import { Bench } from 'tinybench';

import { describeMachine } from '../migrate/machine.ts';
import { accessTasks } from './access-tasks.ts';
import { bitmapTasks } from './bitmap-tasks.ts';
import { dirtySyncTasks } from './dirty-sync-tasks.ts';
import { faultTasks } from './fault-tasks.ts';
import { frameTasks } from './frame-tasks.ts';
import type { MicroGroup, MicroOptions, MicroTask } from './micro-task.ts';
import { zeroPageTasks } from './zero-page-tasks.ts';

export interface MicroFigure {
  readonly group: string;
  readonly name: string;
  /** Of one run. */
  readonly medianMicros: number;
  readonly p99Micros: number;
  readonly runs: number;
  readonly unit: string;
  /** From the median. */
  readonly nanosPerUnit: number;
  /** From the median: the memory that a run answers for, 10⁹ bytes a second. */
  readonly gigabytesPerSecond?: number;
}

export interface MicroResult {
  readonly machine: string;
  readonly options: MicroOptions;
  readonly figures: readonly MicroFigure[];
}

const MEMORY_UNIT_BYTES = 2 ** 24;

/**
 * Measures, one after the other, what is done per page, frame and fault.
 *
 * @param onFigure after each.
 * @throws {RangeError} not whole units of 16 MiB.
 */
export function runMicro(
  options: MicroOptions,
  onFigure: (figure: MicroFigure) => void = () => undefined,
): MicroResult {
  const { memoryBytes, timeMillis } = options;
  if (memoryBytes <= 0 || memoryBytes % (4 * MEMORY_UNIT_BYTES) !== 0) {
    throw new RangeError(`memory of ${memoryBytes} bytes: expected a multiple of 64 MiB`);
  }
  const groups: (() => MicroGroup)[] = [
    frameTasks,
    () => bitmapTasks(memoryBytes),
    () => dirtySyncTasks(memoryBytes / 4),
    () => dirtySyncTasks(memoryBytes),
    () => zeroPageTasks(memoryBytes),
    () => accessTasks(memoryBytes),
    faultTasks,
  ];
  const figures: MicroFigure[] = [];
  for (const open of groups) {
    using group = open();
    for (const task of group.tasks) {
      const figure = measure(group.title, task, timeMillis);
      figures.push(figure);
      onFigure(figure);
    }
  }
  return { machine: describeMachine(), options, figures };
}

function measure(group: string, task: MicroTask, timeMillis: number): MicroFigure {
  const { name, runs, run, before, count, unit, bytes } = task;
  const limits =
    runs === undefined
      ? { time: timeMillis, warmupTime: timeMillis / 4, iterations: 8, warmupIterations: 2 }
      : { time: 0, iterations: timeMillis < QUICK_MILLIS ? 1 : runs, warmup: false };
  const bench = new Bench({ ...limits, throws: true });
  bench.add(name, run, before === undefined ? {} : { beforeEach: before });
  const [measured] = bench.runSync();
  if (measured?.result.state !== 'completed') throw new Error(`${name} did not run`);
  const { p50, p99, samplesCount } = measured.result.latency;
  return {
    group,
    name,
    medianMicros: p50 * 1e3,
    p99Micros: p99 * 1e3,
    runs: samplesCount,
    unit,
    nanosPerUnit: (p50 * 1e6) / count,
    ...(bytes === undefined ? {} : { gigabytesPerSecond: bytes / p50 / 1e6 }),
  };
}

/** Whoever gives a task less time wants to see it work, not to know how fast. */
const QUICK_MILLIS = 10;

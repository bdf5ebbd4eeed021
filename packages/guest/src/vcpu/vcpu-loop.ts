import { findSegment, type MemoryPages } from '../pages/memory-pages.ts';
import { ownPageCount } from '../program.ts';
import { PageSequence } from '../workload/page-sequence.ts';
import { Pacer } from './pacer.ts';
import type { StepTimes } from './step-times.ts';
import { Throttle } from './throttle.ts';
import { commandKind, type VcpuControl, type VcpuProgram } from './vcpu-control.ts';
import { chooseVisit } from './visit.ts';

/** How many steps are made between two looks at the throttle: about a millisecond of first writes. */
const BATCH_STEPS = 1024;

/**
 * The life of a vCPU thread: obeys one command after the other until it is told to exit. Parked,
 * it sleeps on the command word and a command wakes it.
 *
 * @param times where to count how long its steps take; timing them costs a fifth of a microsecond each.
 */
export function runVcpu(memory: MemoryPages, control: VcpuControl, times?: StepTimes): void {
  for (;;) {
    const { command } = control;
    const kind = commandKind(command);
    if (kind === 'exit') return; // unanswered: the end of the thread is the answer
    const program = kind === 'run' ? control.program : undefined;
    const walk =
      program === undefined || program.workload === 'idle'
        ? undefined
        : startWalk(memory, control, program, times);
    control.acknowledge(command); // before the first step, which may block on a missing page
    if (program === undefined || walk === undefined) control.waitWhile(command);
    else pace(walk, control, command, program.rate);
  }
}

/** Makes up to `count` steps, fewer when the command changes. */
type Walk = (command: number, count: number) => number;

export function pace(walk: Walk, control: VcpuControl, command: number, rate: number): void {
  const throttle = new Throttle(performance.now());
  const pacer = rate === 0 ? undefined : new Pacer(rate, performance.now());
  while (control.command === command) {
    const slept = sleepIfThrottled(throttle, control, command);
    if (pacer === undefined) {
      walk(command, BATCH_STEPS);
      continue;
    }
    // A throttled vCPU is a slower one: it does not make up for what it slept.
    if (slept > 0) pacer.skip(slept);
    const due = Math.min(pacer.due(performance.now()), BATCH_STEPS);
    if (due > 0) pacer.made(walk(command, due));
    else control.waitWhile(command, pacer.millisToNext(performance.now()));
  }
}

/** @returns how long it slept, in milliseconds. */
function sleepIfThrottled(throttle: Throttle, control: VcpuControl, command: number): number {
  const before = performance.now();
  const millis = throttle.sleepMillis(control.throttle, before);
  if (millis === 0) return 0;
  control.waitWhile(command, millis);
  const now = performance.now();
  throttle.slept(now);
  return now - before;
}

export function startWalk(
  { pageCount, segments }: MemoryPages,
  control: VcpuControl,
  { workload, seed, vcpu, vcpuCount }: VcpuProgram,
  times: StepTimes | undefined,
): Walk | undefined {
  if (workload === 'idle') return undefined;
  const size = ownPageCount(pageCount, vcpu, vcpuCount);
  const sequence = new PageSequence({ workload, seed, vcpu, size }, control.steps);
  const published = control.stepsCell();
  const visit = chooseVisit(segments, workload);
  let segmentIndex = 0;

  return (command, count) => {
    let steps = published[0] ?? 0;
    let left = count;
    while (left > 0 && control.command === command) {
      const page = vcpu + sequence.next() * vcpuCount;
      segmentIndex = findSegment(segments, page, segmentIndex);
      const segment = segments[segmentIndex];
      if (segment === undefined) break; // findSegment has thrown before this
      const before = times === undefined ? 0 : performance.now();
      visit(segment, page);
      times?.add(performance.now() - before);
      steps += 1;
      published[0] = steps; // 64 aligned bits in one store: a reader sees the old count or the new
      left -= 1;
    }
    return count - left;
  };
}

import { findSegment, type MemoryPages } from '../pages/memory-pages.ts';
import { ownPageCount } from '../program.ts';
import { PageSequence } from '../workload/page-sequence.ts';
import { Pacer } from './pacer.ts';
import type { StepTimes } from './step-times.ts';
import { commandKind, type VcpuControl, type VcpuProgram } from './vcpu-control.ts';
import { chooseVisit } from './visit.ts';

/** How many steps are made between two calls of the inner loop; keeps its counter a small integer. */
const BATCH_STEPS = 2 ** 20;

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
  if (rate === 0) {
    while (control.command === command) walk(command, BATCH_STEPS);
    return;
  }
  const pacer = new Pacer(rate, performance.now());
  while (control.command === command) {
    const due = Math.min(pacer.due(performance.now()), BATCH_STEPS);
    if (due > 0) pacer.made(walk(command, due));
    else control.waitWhile(command, pacer.millisToNext(performance.now()));
  }
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

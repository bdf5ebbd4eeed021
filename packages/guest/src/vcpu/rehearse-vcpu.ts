import { PAGE_WORDS } from '../pages/memory-pages.ts';
import { workloads } from '../program.ts';
import { VcpuControl } from './vcpu-control.ts';
import { pace, startWalk } from './vcpu-loop.ts';

const PAGES = 64;
const STEPS = 256;

/**
 * Runs a little of each workload on memory of its own: code that runs for the first time is compiled
 * first, which takes a millisecond or two, and the first time of a guest that was migrated is within
 * its downtime.
 */
export function rehearseVcpu(): void {
  const words = new Int32Array(PAGES * PAGE_WORDS);
  const segment = { words, firstPage: 0, endPage: PAGES, blockId: '', firstPageInBlock: 0 };
  const memory = { pageCount: PAGES, segments: [segment] };
  for (const workload of workloads) {
    const control = new VcpuControl();
    control.setProgram({ workload, seed: 1, fill: 1, vcpu: 0, vcpuCount: 1, rate: 1000 }, 0);
    const command = control.issue('run');
    const { program } = control;
    const walk = startWalk(memory, control, program, undefined);
    if (walk === undefined) continue;
    walk(command, STEPS);
    control.issue('pause');
    pace(walk, control, command, program.rate); // ends at once: the command is another one now
  }
}

import type { Fault, Plan, Point, RunResult } from '@godwit/chaos';
import { assertNever } from '@godwit/transport';

import { formatMillis, plural } from '../figures.ts';

/** `run 3 seed 17: precopy tcp 16M zipf … · cut-rst at PAGES 3 → failed → completed, 1.2 s` */
export function runLine(run: number, { seed, plan, ...result }: RunResult): string {
  const { came, outcomes, millis, found } = result;
  const faults = came.length === 0 ? ['nothing came about'] : came.map(describeFault);
  const verdict = found.length === 0 ? 'ok' : 'FOUND';
  const what = `${describePlan(plan)} · ${faults.join(', ')} → ${outcomes.join(', ')}`;
  return `run ${run} seed ${seed}: ${what} · ${verdict} in ${formatMillis(millis)}`;
}

export function describePlan(plan: Plan): string {
  const { mode, transport, memory, workload, vcpus, channels, memoryMode } = plan;
  const page = channels === 0 ? [] : [`multifd ${channels}${plan.compression ? ' zlib' : ''}`];
  const portable = memoryMode === 'portable' ? ['portable'] : [];
  const words = [mode, transport, memory, workload, plural(vcpus, 'vCPU')];
  return [...words, ...page, ...portable].join(' ');
}

export function describeFault(fault: Fault): string {
  switch (fault.kind) {
    case 'cut-fin':
    case 'cut-rst':
      return `${fault.kind} ${'frame' in fault.point ? fault.at : 'at'} ${describePoint(fault.point)}`;
    case 'black-hole':
      return `black-hole ${fault.only ?? 'both ways'} at ${describePoint(fault.point)}`;
    case 'delay':
      return `delay ${fault.millis} ms at ${describePoint(fault.point)}`;
    case 'throttle':
      return `throttle ${fault.bytesPerSecond / 1e6} MB/s at ${describePoint(fault.point)}`;
    case 'reorder':
      return `reorder ${fault.limitMillis} ms`;
    case 'one-byte':
      return `one-byte ${fault.bytes}`;
    case 'corrupt':
      return `corrupt ${describePoint(fault.point)} byte ${fault.offset}`;
    case 'kill':
      return `kill ${fault.side} at ${describePoint(fault.point)}`;
    case 'stop':
      return `stop ${fault.side} ${fault.millis} ms at ${describePoint(fault.point)}`;
    default:
      return assertNever(fault);
  }
}

function describePoint(point: Point): string {
  const { direction } = point;
  return 'frame' in point ? `${point.frame} ${point.nth}` : `${point.bytes} bytes ${direction}`;
}

/** What all runs together have been through. */
export class ChaosSummary {
  runs = 0;
  recoveries = 0;
  retries = 0;
  samples = 0;
  found = 0;
  readonly faults: Record<string, number> = {};
  readonly ends: Record<string, number> = {};

  add(result: RunResult): void {
    this.runs += 1;
    this.recoveries += result.recoveries;
    this.retries += result.retries;
    this.samples += result.samples;
    if (result.found.length > 0) this.found += 1;
    for (const { kind } of result.came) this.faults[kind] = (this.faults[kind] ?? 0) + 1;
    const end = result.found.length > 0 ? 'found' : (result.outcomes.at(-1) ?? 'none');
    this.ends[end] = (this.ends[end] ?? 0) + 1;
  }

  /** For programs. */
  figures(): Record<string, unknown> {
    const { runs, recoveries, retries, samples, found, faults, ends } = this;
    return { runs, ends, faults, recoveries, retries, samples, found };
  }

  lines(): string[] {
    const counted = (counts: Record<string, number>): string => {
      const parts = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
      return parts.length === 0 ? 'none' : parts.join(', ');
    };
    return [
      `${plural(this.runs, 'run')}: ${counted(this.ends)}`,
      `faults that came about: ${counted(this.faults)}`,
      `${plural(this.recoveries, 'recovery', 'recoveries')}, ` +
        `${plural(this.retries, 'migration')} begun anew, ` +
        `asked ${plural(this.samples, 'time')} who runs the guest`,
      this.found === 0 ? 'found: nothing' : `found: ${plural(this.found, 'run')} broke a promise`,
    ];
  }
}

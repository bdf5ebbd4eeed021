/** What the vCPUs do with RAM; `workload/page-sequence.ts` defines the order of their visits. */
export const workloads = ['sweep', 'random', 'zipf', 'idle'] as const;

export type Workload = (typeof workloads)[number];

/** With the size of RAM and the step counts, all there is to know about what every byte must be. */
export interface GuestProgram {
  readonly workload: Workload;
  /** An unsigned 32-bit integer. */
  readonly seed: number;
  /** Share of the pages that are non-zero at the start, 0 to 1. */
  readonly fill: number;
}

/** vCPU v owns the pages p with `p % vcpus === v`: no page has two writers. */
export const VCPU_COUNT_MAX = 64;

/**
 * 256 GiB for each vCPU: keeps the products of the page orders below 2^53, where Number is exact.
 */
export const PAGES_PER_VCPU_MAX = 2 ** 26;

/** How many pages of `pageCount` vCPU `vcpu` of `vcpuCount` owns. */
export function ownPageCount(pageCount: number, vcpu: number, vcpuCount: number): number {
  return Math.ceil((pageCount - vcpu) / vcpuCount);
}

/** @throws {RangeError} naming the first value that is out of its range. */
export function checkProgram(
  program: GuestProgram & { readonly rate: number; readonly vcpus: number },
  pageCount: number,
): void {
  const { workload, seed, fill, rate, vcpus } = program;
  refuseUnless(workloads.includes(workload), 'workload', workload, workloads.join(', '));
  refuseUnless(
    Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32,
    'seed',
    seed,
    '0 to 2^32 - 1',
  );
  refuseUnless(fill >= 0 && fill <= 1, 'fill', fill, '0 to 1');
  refuseUnless(rate >= 0 && rate < Infinity, 'rate', rate, 'pages/s, 0 for unlimited');
  const vcpusMax = Math.min(VCPU_COUNT_MAX, pageCount);
  const vcpusMin = Math.max(1, Math.ceil(pageCount / PAGES_PER_VCPU_MAX));
  const vcpusFit = Number.isInteger(vcpus) && vcpus >= vcpusMin && vcpus <= vcpusMax;
  refuseUnless(vcpusFit, 'vcpus', vcpus, `${vcpusMin} to ${vcpusMax} for ${pageCount} pages`);
}

function refuseUnless(valid: boolean, name: string, value: unknown, expected: string): void {
  if (!valid) throw new RangeError(`${name} is ${String(value)}, expected ${expected}`);
}

import type { RamBlock } from '@godwit/core';

import { checkPages, describeBadPage, type BadPage, type VisitMark } from './pages/page-check.ts';
import type { MemoryPages } from './pages/memory-pages.ts';
import { ownPageCount, type GuestProgram, type Workload } from './program.ts';
import { runTask } from './task-thread.ts';
import { addVisitCounts } from './workload/page-sequence.ts';

export const BAD_PAGES_NAMED_MAX = 16;

/** From this alone follows every byte of RAM. */
export interface GuestExpectation extends GuestProgram {
  readonly vcpus: readonly { readonly steps: number }[];
}

export interface VerifyResult {
  readonly ok: boolean;
  readonly pagesChecked: number;
  readonly pagesBad: number;
  /** The first `BAD_PAGES_NAMED_MAX`. */
  readonly badPages: readonly BadPage[];
  /** Of each vCPU. */
  readonly steps: readonly number[];
}

/** What `threads/verifier.ts` is started with. */
export interface VerifyTask {
  readonly ram: readonly RamBlock[];
  readonly expectation: GuestExpectation;
}

/**
 * Proves, in a thread, that every byte of RAM is what it must be; the guest must be stopped.
 *
 * @returns when the thread is gone: it does not look at RAM any more.
 */
export async function verifyGuest(
  ram: readonly RamBlock[],
  expectation: GuestExpectation,
): Promise<VerifyResult> {
  return await runTask<VerifyTask, VerifyResult>('verifier', { ram, expectation });
}

/** The same in the calling thread. */
export function verifyMemory(memory: MemoryPages, expectation: GuestExpectation): VerifyResult {
  const { workload, seed, fill, vcpus } = expectation;
  const visits = countVisits(memory.pageCount, expectation);
  const pages = { seed, fill, mark: visitMark(workload), visits };
  const badPages: BadPage[] = [];
  let pagesBad = 0;
  checkPages(memory, pages, (page) => {
    pagesBad += 1;
    if (badPages.length < BAD_PAGES_NAMED_MAX) badPages.push(describeBadPage(memory, pages, page));
  });
  const steps = vcpus.map((vcpu) => vcpu.steps);
  return { ok: pagesBad === 0, pagesChecked: memory.pageCount, pagesBad, badPages, steps };
}

/** How often each page was visited, in time O(pages): see `EpochOrder` for the closed form. */
export function countVisits(
  pageCount: number,
  { workload, seed, vcpus }: GuestExpectation,
): Float64Array {
  const counts = new Float64Array(pageCount);
  if (workload === 'idle') return counts;
  for (const [vcpu, { steps }] of vcpus.entries()) {
    const size = ownPageCount(pageCount, vcpu, vcpus.length);
    addVisitCounts(counts, { workload, seed, vcpu, size }, steps, vcpu, vcpus.length);
  }
  return counts;
}

function visitMark(workload: Workload): VisitMark {
  if (workload === 'idle') return 'none';
  return workload === 'sweep' ? 'byte' : 'counter';
}

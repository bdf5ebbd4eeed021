import assert from 'node:assert/strict';
import { mixAll, scaleBelow } from '../mix.ts';
import type { Workload } from '../program.ts';
import { addModulo, coprimeBelow, EpochOrder, multiplyModulo } from './epoch-order.ts';

/** `zipf` has a level for every halving of the set, up to this many. */
export const ZIPF_LEVEL_COUNT_MAX = 16;

/** Which vCPU's pages are visited, and in which order. */
export interface SequenceOptions {
  readonly workload: Exclude<Workload, 'idle'>;
  readonly seed: number;
  readonly vcpu: number;
  /** How many pages the vCPU owns; a sequence speaks of its own pages as 0 to `size - 1`. */
  readonly size: number;
}

/**
 * The pages a vCPU visits, one a step, a function of the step number alone:
 *
 * - `sweep`: up through its pages, for ever (QEMU's a-b guest).
 * - `random`: every page once per epoch, in an order drawn anew for each epoch.
 * - `zipf`: L levels take turns, level l at the steps k with `k mod L === l`. Level l goes round the
 *   `size >> l` hottest pages as `random` goes round all. The hot sets are nested, so the page of
 *   rank r (0 is hottest) is in about `log2(size / r)` of them and is visited about in proportion
 *   to 1 / r. A fixed permutation drawn from the seed scatters the ranks over the pages.
 */
export class PageSequence {
  readonly #orders: readonly EpochOrder[];
  readonly #scatter: Scatter | undefined;
  #level: number;

  /** @param steps the steps already made: the sequence goes on from there. */
  constructor(options: SequenceOptions, steps: number) {
    assert(options.size >= 1 && Number.isSafeInteger(steps) && steps >= 0);
    const levels = sequenceLevels(options);
    this.#orders = levels.map(
      ({ size, seed }, level) =>
        new EpochOrder(size, seed, levelVisits(steps, level, levels.length)),
    );
    this.#scatter = options.workload === 'zipf' ? drawScatter(options) : undefined;
    this.#level = steps % levels.length;
  }

  next(): number {
    // The level is below the number of orders: it wraps just below.
    const rank = (this.#orders[this.#level] as EpochOrder).next();
    this.#level = this.#level + 1 === this.#orders.length ? 0 : this.#level + 1;
    return this.#scatter === undefined ? rank : scatter(this.#scatter, rank);
  }
}

/**
 * Adds the visits of each page after `steps` steps to `counts`, in time O(size) and not O(steps):
 * per level, the whole epochs at once, and one by one only the visits of the epoch begun.
 *
 * @param counts own page i is at `first + i * stride`.
 */
export function addVisitCounts(
  counts: Float64Array,
  options: SequenceOptions,
  steps: number,
  first = 0,
  stride = 1,
): void {
  const levels = sequenceLevels(options);
  const scattered = options.workload === 'zipf' ? drawScatter(options) : undefined;
  const add = (rank: number, visits: number) => {
    const page = scattered === undefined ? rank : scatter(scattered, rank);
    counts[first + page * stride] = (counts[first + page * stride] ?? 0) + visits;
  };
  for (const [level, { size, seed }] of levels.entries()) {
    const visits = levelVisits(steps, level, levels.length);
    const epochs = Math.floor(visits / size);
    for (let rank = 0; epochs > 0 && rank < size; rank += 1) add(rank, epochs);
    const order = new EpochOrder(size, seed, epochs * size);
    for (let rest = visits % size; rest > 0; rest -= 1) add(order.next(), 1);
  }
}

interface Level {
  readonly size: number;
  readonly seed: number | undefined;
}

function sequenceLevels({ workload, seed, vcpu, size }: SequenceOptions): Level[] {
  if (workload === 'sweep') return [{ size, seed: undefined }];
  const count =
    workload === 'zipf' ? Math.min(ZIPF_LEVEL_COUNT_MAX, 1 + Math.floor(Math.log2(size))) : 1;
  return Array.from({ length: count }, (_, level) => ({
    size: Math.max(1, Math.floor(size / 2 ** level)),
    seed: mixAll(seed, vcpu, level),
  }));
}

/** How many of the first `steps` steps fell to `level`. */
function levelVisits(steps: number, level: number, levelCount: number): number {
  return Math.floor((steps + levelCount - 1 - level) / levelCount);
}

/** `rank → (stride * rank + start) mod size`, a permutation. */
interface Scatter {
  readonly size: number;
  readonly stride: number;
  readonly start: number;
}

function drawScatter({ seed, vcpu, size }: SequenceOptions): Scatter {
  if (size === 1) return { size, stride: 1, start: 0 };
  const bits = mixAll(seed, vcpu, 0x7a697066);
  return { size, stride: coprimeBelow(size, bits), start: scaleBelow(mixAll(bits, 1), size) };
}

function scatter({ size, stride, start }: Scatter, rank: number): number {
  return addModulo(multiplyModulo(stride, rank, size), start, size);
}

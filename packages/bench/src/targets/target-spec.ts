import type { MigrateBenchOptions } from '../migrate/options.ts';
import type { Run } from '../migrate/runs.ts';

/** What one run has of a figure: ours, and what it is compared with, as far as that was measured. */
export interface Sides {
  readonly ours: number;
  /** What cannot be beaten: the raw pump of the same run. */
  readonly limit?: number | undefined;
  /** The other engine's, of the same run. */
  readonly peer?: number | undefined;
}

/** A bound, and what must keep it: our own figure, or how many times the limit's or QEMU's it is. */
export interface Target {
  readonly of: 'ours' | 'limit' | 'peer';
  readonly bound: 'at-least' | 'at-most';
  readonly value: number;
  /** Each run keeps it; otherwise their median does. */
  readonly inEveryRun?: true;
}

/** A figure that one job yields, and what it should be. */
export interface TargetFigure<Measured = Run> {
  /** For programs; does not change. */
  readonly key: string;
  /** For people. */
  readonly label: string;
  readonly unit: string;
  /** @returns undefined where a run has nothing of it. */
  readonly of: (run: Measured) => Sides | undefined;
  /** None: shown beside the others, and not judged. */
  readonly targets: readonly Target[];
}

interface Named {
  /** For `--only` and programs; does not change. */
  readonly key: string;
  readonly label: string;
}

/** Whole migrations; what is left out is as in `bench migrate`. */
export interface MigrateSpec extends Named {
  readonly type: 'migrate';
  readonly options: Pick<MigrateBenchOptions, 'mode' | 'transport'> &
    Partial<Omit<MigrateBenchOptions, 'runs' | 'peer'>>;
  readonly figures: readonly TargetFigure[];
}

/** Dirty syncs with pages written far apart, in milliseconds each. */
export interface DirtySyncSpec extends Named {
  readonly type: 'dirty-sync';
  readonly memoryBytes: number;
  readonly figures: readonly TargetFigure<number>[];
}

/** A job that is measured at once, with all the targets it serves. */
export type TargetSpec = MigrateSpec | DirtySyncSpec;

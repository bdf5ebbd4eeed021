import {
  type DirtyRate as Measured,
  DirtyRateMeasurement,
  type DirtyRateMode,
  type Guest,
} from '@godwit/core';

import { QmpError } from '../errors.ts';

/** QEMU's words and limits (qapi/migration.json; migration/dirtyrate.h). */
export const timeUnits = ['second', 'millisecond'] as const;
export type TimeUnit = (typeof timeUnits)[number];
export const measureModes = ['page-sampling', 'dirty-ring', 'dirty-bitmap'] as const;
export type MeasureMode = (typeof measureModes)[number];

const CALC_MILLIS_MIN = 50;
const CALC_MILLIS_MAX = 60_000;
const SAMPLE_PAGES_MIN = 128;
const SAMPLE_PAGES_MAX = 16_384;
const SAMPLE_PAGES_DEFAULT = 512;
const MIB = 1024 ** 2;

const unitMillis = { second: 1000, millisecond: 1 } as const satisfies Record<TimeUnit, number>;

export interface CalcDirtyRate {
  readonly calcTime: number;
  readonly unit: TimeUnit;
  readonly samplePages: number | undefined;
  readonly mode: MeasureMode;
}

/** What query-dirty-rate answers. */
export interface DirtyRateInfo {
  readonly status: 'unstarted' | 'measuring' | 'measured';
  /** MiB per second; once measured. */
  readonly 'dirty-rate'?: number;
  /** Seconds of the wall clock. */
  readonly 'start-time': number;
  readonly 'calc-time': number;
  readonly 'calc-time-unit': TimeUnit;
  /** Of each GiB; 0 where none are sampled. */
  readonly 'sample-pages': number;
  readonly mode: MeasureMode;
  /** Ours, once measured: the same exactly, and how it grew. */
  readonly 'x-pages'?: DirtyPagesInfo;
}

export interface DirtyPagesInfo {
  readonly 'page-size': number;
  readonly total: number;
  readonly present: number;
  readonly zero: number;
  readonly 'dirty-curve': readonly { readonly 'elapsed-us': number; readonly pages: number }[];
}

/** What migrations do with the guest's memory. */
export interface MemoryUse {
  /** Resolves when the last one, if it is over, has let go of it. */
  settled(): Promise<void>;
  /** @throws {QmpError} one is under way, or the guest is not all here. */
  refuseIfUsed(): void;
}

interface Attempt {
  readonly mode: DirtyRateMode;
  readonly samplePages: number;
  readonly startSeconds: number;
  calcMillis: number;
  measurement?: DirtyRateMeasurement;
  measured?: Measured;
}

/**
 * How fast the guest writes, measured when somebody asks. Only one may note writes to its memory, and a
 * migration comes first: it takes hold of the memory, which ends a measurement and begins none.
 */
export class DirtyRate {
  readonly #ram: Guest['ram'];
  readonly #memory: MemoryUse;
  #holders = 0;
  /** The last one that has not been ended before its time. */
  #attempt: Attempt | undefined;

  constructor(ram: Guest['ram'], memory: MemoryUse) {
    this.#ram = ram;
    this.#memory = memory;
  }

  /** @throws {QmpError} not possible, or not now; what was measured before is still told. */
  async start(order: CalcDirtyRate): Promise<void> {
    const attempt = checkOrder(order);
    await this.#memory.settled();
    // No wait from here to the new measurement: whoever comes next finds it.
    this.#memory.refuseIfUsed();
    if (this.#holders > 0) throw refuse("There's a migration process in progress");
    if (this.#attempt !== undefined && this.#attempt.measured === undefined) {
      throw refuse('the dirty rate is already being measured.');
    }
    const before = this.#attempt;
    const measurement = new DirtyRateMeasurement(this.#ram, attempt);
    attempt.measurement = measurement;
    this.#attempt = attempt;
    void measurement.result.then(
      (measured) => this.#ended(attempt, measured),
      () => this.#ended(attempt, undefined),
    );
    try {
      await measurement.begun;
    } catch (error) {
      await measurement.end();
      this.#attempt ??= before;
      throw error;
    }
  }

  /** Ends a measurement and lets none begin until disposed. @returns when nothing is tracked. */
  async hold(): Promise<Disposable> {
    this.#holders += 1;
    await this.#attempt?.measurement?.end();
    return { [Symbol.dispose]: () => void (this.#holders -= 1) };
  }

  info(unit: TimeUnit): DirtyRateInfo {
    const attempt = this.#attempt;
    if (attempt === undefined) {
      const nothing = { 'start-time': 0, 'calc-time': 0, 'sample-pages': 0 };
      return { status: 'unstarted', ...nothing, 'calc-time-unit': unit, mode: 'page-sampling' };
    }
    const { measured, mode, samplePages, startSeconds, calcMillis } = attempt;
    return {
      status: measured === undefined ? 'measuring' : 'measured',
      ...(measured === undefined ? {} : this.#rate(measured)),
      'start-time': startSeconds,
      'calc-time': Math.floor(calcMillis / unitMillis[unit]),
      'calc-time-unit': unit,
      'sample-pages': samplePages,
      mode,
    };
  }

  #rate({ total, present, zero, curve }: Measured): Partial<DirtyRateInfo> {
    const pageBytes = this.#ram[0]?.pageBytes ?? 4096;
    const { pages = 0, elapsedMillis = 1 } = curve.at(-1) ?? {};
    return {
      'dirty-rate': Math.round((pages * pageBytes * 1000) / elapsedMillis / MIB),
      'x-pages': {
        'page-size': pageBytes,
        total,
        present,
        zero,
        'dirty-curve': curve.map((look) => ({
          'elapsed-us': Math.round(look.elapsedMillis * 1000),
          pages: look.pages,
        })),
      },
    };
  }

  #ended(attempt: Attempt, measured: Measured | undefined): void {
    if (measured === undefined) {
      if (this.#attempt === attempt) this.#attempt = undefined;
      return;
    }
    attempt.measured = measured;
    attempt.calcMillis = Math.round(measured.curve.at(-1)?.elapsedMillis ?? attempt.calcMillis);
  }
}

/** @see QEMU migration/dirtyrate.c, qmp_calc_dirty_rate; the texts are its own. */
function checkOrder({ calcTime, unit, samplePages, mode }: CalcDirtyRate): Attempt {
  const calcMillis = calcTime * unitMillis[unit];
  if (calcMillis < CALC_MILLIS_MIN || calcMillis > CALC_MILLIS_MAX) {
    const range = `[${CALC_MILLIS_MIN}ms, ${CALC_MILLIS_MAX}ms]`;
    throw refuse(`Calculation time is out of range ${range}.`);
  }
  if (samplePages !== undefined) {
    if (mode !== 'page-sampling') {
      throw refuse('sample-pages is used only in page-sampling mode');
    }
    if (samplePages < SAMPLE_PAGES_MIN || samplePages > SAMPLE_PAGES_MAX) {
      throw refuse(`sample-pages is out of range[${SAMPLE_PAGES_MIN}, ${SAMPLE_PAGES_MAX}].`);
    }
  }
  if (mode === 'dirty-ring') {
    throw refuse('mode dirty-ring is not enabled, use other method instead.');
  }
  const pages = mode === 'page-sampling' ? (samplePages ?? SAMPLE_PAGES_DEFAULT) : 0;
  const startSeconds = Math.floor(Date.now() / 1000);
  return { mode, samplePages: pages, startSeconds, calcMillis };
}

function refuse(desc: string): QmpError {
  return new QmpError('GenericError', desc);
}

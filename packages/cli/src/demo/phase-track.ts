import type { PhaseState } from './demo-state.ts';

/** The phases of one migration as its source goes through them, one at a time. */
export class PhaseTrack {
  readonly #phases: PhaseState[] = [];
  #cuts = 0;

  get phases(): readonly PhaseState[] {
    return this.#phases;
  }

  /** A pass of precopy begins, while the guest still runs at the source. */
  pass(pass: number, nowMillis: number): void {
    this.#begin(`precopy pass ${pass}`, nowMillis);
  }

  /** The source has entered this status. */
  status(status: string, nowMillis: number): void {
    switch (status) {
      case 'device':
        return this.note('guest stopped'); // precopy sends its last pass now
      case 'postcopy-device':
        this.#break(nowMillis, 'to postcopy');
        return;
      case 'postcopy-active':
        return this.#begin(this.#cuts === 0 ? 'postcopy' : `recovery ${this.#cuts}`, nowMillis);
      case 'postcopy-paused':
        if (this.#break(nowMillis, 'cut')) this.#cuts += 1;
        return;
      case 'completed':
        this.#end(nowMillis);
        return;
      case 'failed':
      case 'cancelled':
        this.#break(nowMillis, status);
        return;
      default:
        return;
    }
  }

  /** What remains now to be sent; the first figure of a phase is its total. */
  progress(remainingBytes: number): void {
    this.#change((phase) => ({
      totalBytes: phase.totalBytes ?? remainingBytes,
      remainingBytes,
    }));
  }

  /** Something to be said of the phase that lasts. */
  note(note: string): void {
    this.#change(() => ({ note }));
  }

  #begin(name: string, nowMillis: number): void {
    this.#end(nowMillis);
    this.#phases.push({
      name,
      totalBytes: undefined,
      remainingBytes: 0,
      beganMillis: nowMillis,
      endedMillis: undefined,
      isBroken: false,
      note: '',
    });
  }

  #end(nowMillis: number): void {
    this.#change(() => ({ endedMillis: nowMillis }));
  }

  #break(nowMillis: number, note: string): boolean {
    return this.#change(() => ({ endedMillis: nowMillis, isBroken: true, note }));
  }

  /** @returns whether a phase lasts. */
  #change(change: (phase: PhaseState) => Partial<PhaseState>): boolean {
    const phase = this.#phases.at(-1);
    if (phase === undefined || phase.endedMillis !== undefined) return false;
    this.#phases[this.#phases.length - 1] = { ...phase, ...change(phase) };
    return true;
  }
}

/** The speed of the last moments, from a count that only grows. */
export class RateWindow {
  readonly #windowMillis: number;
  readonly #samples: { readonly millis: number; readonly count: number }[] = [];

  constructor(windowMillis: number) {
    this.#windowMillis = windowMillis;
  }

  add(count: number, millis: number): void {
    this.#samples.push({ millis, count });
    const oldest = millis - this.#windowMillis;
    while ((this.#samples[0]?.millis ?? millis) < oldest) this.#samples.shift();
  }

  /** 0 before there are two samples. */
  get perSecond(): number {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.millis === first.millis) return 0;
    return ((last.count - first.count) / (last.millis - first.millis)) * 1000;
  }
}

/** The speed of the last moments, from a count that only grows. */
export class RateWindow {
  readonly #windowMillis: number;
  readonly #samples: { readonly millis: number; readonly bytes: number }[] = [];

  constructor(windowMillis: number) {
    this.#windowMillis = windowMillis;
  }

  add(bytes: number, millis: number): void {
    this.#samples.push({ millis, bytes });
    const oldest = millis - this.#windowMillis;
    while ((this.#samples[0]?.millis ?? millis) < oldest) this.#samples.shift();
  }

  /** 0 before there are two samples. */
  get bytesPerSecond(): number {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.millis === first.millis) return 0;
    return ((last.bytes - first.bytes) / (last.millis - first.millis)) * 1000;
  }
}

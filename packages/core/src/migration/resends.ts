import type { RamProof } from '@godwit/transport';

/** With `x-checksum`: that pages arrived damaged on this link, as the destination tells it. */
export class Resends {
  /** How often it was told. */
  count = 0;
  #onNews: () => void = () => undefined;

  told(): void {
    this.count += 1;
    this.#onNews();
  }

  /**
   * In postcopy, when all has been sent.
   *
   * @param before how many there were before it was.
   * @returns the destination's word, or nothing: some of it arrived damaged.
   */
  async orComplete(before: number, complete: Promise<RamProof>): Promise<RamProof | undefined> {
    if (this.count !== before) return undefined;
    const resent = new Promise<undefined>((resolve) => {
      this.#onNews = () => resolve(undefined);
    });
    return await Promise.race([complete, resent]);
  }
}

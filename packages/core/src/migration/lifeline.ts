/**
 * What must happen when the process ends by whatever way, so that no thread blocked in the kernel
 * keeps it from ending: `process.exit` waits for threads, and they wait for their descriptors.
 */
export class Lifeline {
  readonly #wakeThreads: () => void;

  constructor(wakeThreads: () => void) {
    this.#wakeThreads = wakeThreads;
    process.on('exit', wakeThreads);
  }

  release(): void {
    process.removeListener('exit', this.#wakeThreads);
  }
}

/**
 * What must happen when the process ends by whatever way, so that no thread blocked in the kernel
 * keeps it from ending: `process.exit` waits for threads, and they wait for their descriptors.
 */
export class Lifeline {
  readonly #hooks: (() => void)[] = [];
  readonly #run = (): void => {
    for (const hook of this.#hooks) hook();
  };

  constructor() {
    process.on('exit', this.#run);
  }

  add(hook: () => void): void {
    this.#hooks.push(hook);
  }

  release(): void {
    process.removeListener('exit', this.#run);
  }
}

import type { Guest, RamBlock } from '@godwit/core';

/** A guest without vCPUs that remembers who ran it, and how often. */
export class QuietGuest implements Guest {
  readonly ram: readonly RamBlock[];
  running: boolean;
  resumes = 0;
  /** It runs from here on. */
  onResume: () => void = () => undefined;
  readonly #state = Uint8Array.from({ length: 64 }, (_, i) => i);

  constructor(ram: readonly RamBlock[], running: boolean) {
    this.ram = ram;
    this.running = running;
  }

  pause(): Promise<void> {
    this.running = false;
    return Promise.resolve();
  }

  resume(): Promise<void> {
    this.running = true;
    this.resumes += 1;
    this.onResume();
    return Promise.resolve();
  }

  saveDeviceState(): Uint8Array {
    return this.#state;
  }

  loadDeviceState(state: Uint8Array): void {
    if (!Buffer.from(this.#state).equals(state)) throw new Error('device state of another guest');
  }
}

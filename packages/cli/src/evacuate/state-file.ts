import { renameSync, writeFileSync } from 'node:fs';

import { messageOf } from '../errors.ts';

/**
 * Holds the state so far; whoever reads it finds a whole document at any moment. When it cannot be
 * written any more (the disk is full, the folder has gone) that is told once: no migration under way is
 * left alone for it.
 */
export class StateFile {
  readonly #path: string;
  readonly #onTrouble: (note: string) => void;
  #isTroubled = false;

  constructor(path: string, onTrouble: (note: string) => void) {
    this.#path = path;
    this.#onTrouble = onTrouble;
  }

  write(state: object): void {
    try {
      this.create(state);
      this.#isTroubled = false;
    } catch (error) {
      const told = `the state so far is not written: ${messageOf(error)}`;
      if (!this.#isTroubled) this.#onTrouble(told);
      this.#isTroubled = true;
    }
  }

  /** Before anything has begun. @throws {Error} it cannot be written. */
  create(state: object): void {
    const beside = `${this.#path}.${process.pid}`;
    writeFileSync(beside, `${JSON.stringify(state)}\n`);
    renameSync(beside, this.#path);
  }
}

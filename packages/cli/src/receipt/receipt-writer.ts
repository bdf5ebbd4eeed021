import { statSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { SignedReceipt } from '@godwit/core';
import type { Machine } from '@godwit/qmp';

import { messageOf } from '../errors.ts';

/** Writes a receipt of each migration of a guest, as it ends. */
export class ReceiptWriter {
  readonly #path: string;
  readonly #onFailure: (message: string) => void;
  #written: Promise<void> = Promise.resolve();

  /**
   * @param path a file, written anew each time; or a directory, which gets a file for each migration.
   * @param onFailure it could not be written; the guest is not affected.
   */
  constructor(path: string, onFailure: (message: string) => void) {
    this.#path = path;
    this.#onFailure = onFailure;
  }

  follow(machine: Machine): void {
    machine.on('ended', () => {
      const receipt = machine.migrations.receipt(); // of the one that has ended, not of the next
      this.#written = Promise.all([receipt, this.#written])
        .then(async ([signed]) => await this.#write(signed))
        .catch((error: unknown) => this.#onFailure(`no receipt: ${messageOf(error)}`));
    });
  }

  /** @returns when there is none left to be written. */
  async settled(): Promise<void> {
    await this.#written;
  }

  /** Whoever reads the file finds all of it or what was there before. */
  async #write(signed: SignedReceipt): Promise<void> {
    const path = this.#fileFor(signed);
    const temporary = `${path}.${process.pid}.new`;
    await writeFile(temporary, `${JSON.stringify(signed, null, 2)}\n`, { mode: 0o600 });
    await rename(temporary, path);
  }

  #fileFor({ receipt: { migration, side, ended } }: SignedReceipt): string {
    const isDirectory = statSync(this.#path, { throwIfNoEntry: false })?.isDirectory() === true;
    if (!isDirectory) return this.#path;
    const name = migration ?? ended.replaceAll(':', '');
    return join(this.#path, `${name}-${side}.json`);
  }
}

import { closeSync, openSync, readSync, writeSync } from 'node:fs';

import { allocateRam, type GuestRam } from '@godwit/core';

import type { MachineGuest, VerifyResult } from '../src/machine/machine-guest.ts';

/** A guest of few pages whose vCPUs are a flag; what it was asked is written down. */
export class FakeGuest implements MachineGuest {
  readonly ram: GuestRam['blocks'];
  readonly calls: ('pause' | 'resume')[] = [];
  running = false;
  /** Waited for by `pause`, as for a vCPU in a page fault. */
  stopping: Promise<void> = Promise.resolve();
  /** Waited for by `resume`, as for a vCPU that hangs in one since before it was to stop. */
  starting: Promise<void> = Promise.resolve();
  readonly #ram: GuestRam;

  constructor({ pages = 16 } = {}) {
    this.#ram = allocateRam([{ id: 'ram', byteLength: pages * 4096 }]);
    this.ram = this.#ram.blocks;
  }

  /** Makes every page worth sending. */
  fill(text = 'guest'): void {
    const [block] = this.ram;
    if (block === undefined) throw new Error('no RAM');
    // The kernel's door to our own memory: no FFI in here.
    const memory = openSync('/proc/self/mem', 'r+');
    try {
      const bytes = Buffer.alloc(block.byteLength, text);
      writeSync(memory, bytes, 0, bytes.byteLength, block.address);
    } finally {
      closeSync(memory);
    }
  }

  /** Of a page, as it is in memory. */
  firstByte(page: number): number {
    const memory = openSync('/proc/self/mem', 'r');
    try {
      const byte = Buffer.alloc(1);
      readSync(memory, byte, 0, 1, (this.ram[0]?.address ?? 0) + page * 4096);
      return byte.readUInt8(0);
    } finally {
      closeSync(memory);
    }
  }

  async pause({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    this.calls.push('pause');
    await Promise.race([this.stopping, rejection(signal)]);
    this.running = false;
  }

  async resume({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    this.calls.push('resume');
    this.running = true;
    await Promise.race([this.starting, rejection(signal)]);
  }

  saveDeviceState(): Uint8Array {
    return Uint8Array.of(1);
  }

  loadDeviceState(): void {
    // Nothing but its RAM distinguishes it.
  }

  verify(): Promise<VerifyResult> {
    const badPages = [{ block: 'ram', page: 3, offset: 8, reason: 'stale' }];
    return Promise.resolve({ ok: false, pagesChecked: 16, pagesBad: 1, badPages, steps: [7] });
  }

  [Symbol.dispose](): void {
    this.#ram[Symbol.dispose]();
  }
}

function rejection(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason as Error));
  });
}

import assert from 'node:assert/strict';

import {
  changeParameters,
  type DestinationInfo,
  DestinationMigration,
  type DestinationOptions,
  type DestinationStatus,
  type GuestRam,
  PageBitmap,
  PagemapDirtyLog,
  parameterDefaults,
  type RamBlock,
} from '@godwit/core';
import { DummyGuest } from '@godwit/guest';
import type { Address } from '@godwit/transport';

import { cpuSeconds, monotonicMillis } from '../migrate/clock.ts';
import { allocateGuestRam } from '../migrate/options.ts';
import { channelParameters } from './channel-parameters.ts';
import { withRam } from './guest-with-ram.ts';
import { security } from './security.ts';
import { prepareMemory } from './memory.ts';
import { Sampler } from './sampler.ts';
import type { DestinationReport, IncomingPlan, RecoveryReport } from './side-api.ts';

/** One incoming migration, in memory of its own, from an empty guest to one that is proved whole. */
export class Destination {
  readonly #ram: GuestRam;
  readonly #guest: DummyGuest;
  readonly #migration: DestinationMigration;
  readonly #sampler: Sampler;
  #runsMillis: number | undefined;
  #cpuBefore = 0;
  #recovery: Promise<RecoveryReport> | undefined;

  static async create(plan: IncomingPlan): Promise<Destination> {
    const { channels } = plan;
    const secured = security('server', plan.tlsKey);
    const given = { ...channelParameters(channels), ...secured.parameters };
    const parameters = changeParameters(parameterDefaults, given);
    const ram = allocateGuestRam(plan);
    const guest = await DummyGuest.create({
      ram: ram.blocks.slice(0, 1),
      fillMemory: false,
      timeSteps: true,
    });
    return new Destination(ram, guest, {
      parameters: () => parameters,
      pageChannels: channels > 1 ? channels : 0,
      security: secured.objects,
    });
  }

  private constructor(ram: GuestRam, guest: DummyGuest, options: DestinationOptions) {
    this.#ram = ram;
    this.#guest = guest;
    const noticeRun = (): void => {
      this.#runsMillis ??= monotonicMillis();
    };
    this.#migration = new DestinationMigration(withRam(guest, ram.blocks, noticeRun), {
      ...options,
      vcpus: 1,
      blocktime: true,
    });
    this.#sampler = new Sampler(async () => await this.#receivedBytes());
  }

  /** @returns the bound address; from here on the clock may start at any moment. */
  async listen({ address, memory }: IncomingPlan): Promise<Address> {
    const bound = await this.#migration.listen(address);
    await this.#migration.info(); // a thread answers: they have started, at no cost of the migration
    const { address: ramAddress, byteLength } = this.#block;
    prepareMemory(memory, ramAddress, byteLength);
    this.#cpuBefore = cpuSeconds();
    this.#sampler.start();
    return bound;
  }

  async untilReceived(bytes: number): Promise<void> {
    while ((await this.#receivedBytes()) < bytes) await this.#sampler.next();
  }

  async untilPaused(): Promise<void> {
    await this.#untilStatus('postcopy-paused');
    const pagesBefore = await this.#receivedPages(); // nobody places any more
    // Armed here and not when it is asked for: a recovery takes less time than that may.
    this.#recovery = this.#watchRecovery(pagesBefore);
    this.#recovery.catch(() => undefined); // told to whoever asks for it
  }

  async untilRecovered(): Promise<RecoveryReport> {
    assert(this.#recovery !== undefined);
    return await this.#recovery;
  }

  /** @throws {Error} it failed: with the reason. */
  async untilCompleted(): Promise<DestinationReport> {
    const completedMillis = await this.#untilStatus('completed');
    const cpu = cpuSeconds() - this.#cpuBefore;
    const samples = this.#sampler.stop();
    assert(this.#runsMillis !== undefined);
    return {
      runsMillis: this.#runsMillis,
      completedMillis,
      cpuSeconds: cpu,
      info: await this.#migration.info(),
      samples,
      stepTimes: this.#guest.stepTimes(),
    };
  }

  /** Ends with everything given back. @throws {Error} some byte is not what it must be. */
  async verify(): Promise<void> {
    await this.#guest.pause();
    const { ok, pagesBad, pagesChecked } = await this.#guest.verify();
    await this.#guest.close();
    await this.#migration.close();
    const pagesTouched = touchedPages(this.#ram.blocks.slice(1));
    this.#ram[Symbol.dispose]();
    if (pagesTouched > 0) throw new Error(`${pagesTouched} pages that nobody touched take memory`);
    if (!ok) throw new Error(`${pagesBad} of ${pagesChecked} pages are not what they must be`);
  }

  async #untilStatus(wanted: DestinationStatus): Promise<number> {
    const migration = this.#migration;
    if (migration.status === wanted) return monotonicMillis();
    return await new Promise<number>((resolve, reject) => {
      const look = (status: DestinationStatus): void => {
        if (status !== wanted && status !== 'failed') return;
        migration.off('status', look);
        if (status === wanted) return resolve(monotonicMillis());
        reject(migration.error ?? new Error('the migration has failed'));
      };
      migration.on('status', look);
    });
  }

  async #receivedBytes(): Promise<number> {
    return (await this.#receivedPages()) * this.#block.pageBytes;
  }

  async #receivedPages(): Promise<number> {
    const info: DestinationInfo = await this.#migration.info();
    return info['x-ram']?.['received-pages'] ?? 0;
  }

  /** Looks for the first page without a pause: it is a matter of a few milliseconds. */
  async #watchRecovery(pagesBefore: number): Promise<RecoveryReport> {
    const activeMillis = await this.#untilStatus('postcopy-active');
    while ((await this.#receivedPages()) === pagesBefore) {
      const { status, error } = this.#migration;
      if (status !== 'postcopy-active') throw error ?? new Error(`the recovery is ${status}`);
    }
    return { activeMillis, firstPageMillis: monotonicMillis() };
  }

  /** The one that is touched. */
  get #block(): RamBlock {
    return this.#ram.blocks[0] as RamBlock; // allocateRam returns what it was asked for
  }
}

/** How many pages take memory. */
function touchedPages(blocks: readonly RamBlock[]): number {
  if (blocks.length === 0) return 0; // a host that has portable memory alone cannot be asked
  using log = new PagemapDirtyLog(blocks);
  const bitmaps = (): PageBitmap[] =>
    blocks.map(({ byteLength, pageBytes }) => new PageBitmap(byteLength / pageBytes));
  const present = bitmaps();
  log.sync(bitmaps(), present);
  return present.reduce((sum, bitmap) => sum + bitmap.count(), 0);
}

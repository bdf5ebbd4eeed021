import assert from 'node:assert/strict';

import {
  capabilityDefaults,
  changeCapabilities,
  changeParameters,
  type Guest,
  MigrationError,
  parameterDefaults,
  type Parameters,
  type RamBlock,
  SourceMigration,
  type SourceStatus,
} from '@godwit/core';
import { DummyGuest } from '@godwit/guest';
import { type Address, type Channel, dial, newSession } from '@godwit/transport';

import { cpuSeconds, monotonicMillis } from '../migrate/clock.ts';
import { allocateGuestRam } from '../migrate/options.ts';
import { channelParameters, compressionParameters } from './channel-parameters.ts';
import { withRam } from './guest-with-ram.ts';
import { security } from './security.ts';
import { Pump, sharesOf } from './pump.ts';
import type { GuestPlan, MigrationPlan, PumpReport, SourceReport } from './side-api.ts';

const DIAL_LIMIT_MILLIS = 5_000;

interface Outgoing {
  readonly migration: SourceMigration;
  readonly parameters: Parameters;
  readonly postcopy: boolean;
}

interface OutgoingPump {
  readonly pump: Pump;
  readonly channels: number;
}

/**
 * The side that has the guest. One guest serves all runs: it is taken up again where it left, which
 * no real source may do.
 */
export class Source {
  readonly #block: RamBlock;
  readonly #guest: Guest;
  #outgoing: Outgoing | undefined;
  #pump: OutgoingPump | undefined;

  /** The guest's memory is filled; it is stopped. */
  static async create(plan: GuestPlan): Promise<Source> {
    const { blocks } = allocateGuestRam(plan);
    const [touched] = blocks as [RamBlock, ...RamBlock[]]; // what it was asked for
    const { workload, rate } = plan;
    const dummy = await DummyGuest.create({ ram: [touched], workload, rate, fillMemory: true });
    return new Source(touched, withRam(dummy, blocks));
  }

  private constructor(block: RamBlock, guest: Guest) {
    this.#block = block;
    this.#guest = guest;
  }

  async prepareMigration(plan: MigrationPlan): Promise<void> {
    const { postcopy, postcopyBandwidth, downtimeLimitMillis, channels, zlibLevel } = plan;
    const secured = security('client', plan.tlsKey);
    const capabilities = changeCapabilities(capabilityDefaults, [
      { capability: 'postcopy-ram', state: postcopy },
      { capability: 'multifd', state: channels > 1 },
      ...plan.capabilities.map((capability) => ({ capability, state: true })),
    ]);
    const parameters = changeParameters(parameterDefaults, {
      ...channelParameters(channels),
      ...compressionParameters(zlibLevel),
      ...secured.parameters,
      'max-bandwidth': 0,
      'max-postcopy-bandwidth': postcopyBandwidth,
      'downtime-limit': downtimeLimitMillis,
    });
    const migration = new SourceMigration(this.#guest, {
      capabilities,
      parameters,
      security: secured.objects,
    });
    this.#outgoing = { migration, parameters, postcopy };
    await this.#guest.resume();
  }

  /** @throws {Error} it failed: with the reason. */
  async migrate(address: Address): Promise<SourceReport> {
    const { migration, postcopy } = this.#current;
    const cpuBefore = cpuSeconds();
    const active = untilStatus(migration, 'active');
    const completed = untilStatus(migration, 'completed');
    migration.start(address);
    // In one breath, so that no page is sent before the guest has left.
    if (postcopy) migration.startPostcopy();
    const [activeMillis, endedMillis] = await Promise.all([active, completed]);
    const cpu = cpuSeconds() - cpuBefore;
    await migration.ended; // its threads and its link are gone, too
    return { activeMillis, endedMillis, cpuSeconds: cpu, info: migration.info() };
  }

  async cut(): Promise<{ cutMillis: number }> {
    const { migration } = this.#current;
    const paused = untilStatus(migration, 'postcopy-paused');
    const cutMillis = monotonicMillis();
    migration.pause();
    await paused;
    return { cutMillis };
  }

  async resume(address: Address): Promise<{ askedMillis: number; activeMillis: number }> {
    const { migration, parameters } = this.#current;
    migration.setParameters(changeParameters(parameters, { 'max-postcopy-bandwidth': 0 }));
    const active = untilStatus(migration, 'postcopy-active');
    const askedMillis = monotonicMillis();
    migration.resume(address);
    return { askedMillis, activeMillis: await active };
  }

  async preparePump(channels: number): Promise<void> {
    const pump = await Pump.start({ role: 'write' }, sharesOf(this.#block, channels));
    this.#pump = { pump, channels };
  }

  async pump(address: Address): Promise<PumpReport> {
    assert(this.#pump !== undefined);
    const { pump, channels: count } = this.#pump;
    const cpuBefore = cpuSeconds();
    const channels = await Promise.all(
      Array.from({ length: count }, (_, index) => dialPump(address, index)),
    );
    const times = await pump.run(channels);
    for (const channel of channels) channel.close();
    return { ...times, cpuSeconds: cpuSeconds() - cpuBefore };
  }

  get #current(): Outgoing {
    assert(this.#outgoing !== undefined);
    return this.#outgoing;
  }
}

async function dialPump(address: Address, index: number): Promise<Channel> {
  return await dial(address, {
    session: newSession(),
    role: 'main',
    epoch: 0,
    newSession: true,
    index,
    timeoutMillis: DIAL_LIMIT_MILLIS,
  });
}

/** @returns when it was reached. @throws {Error} the migration has failed, or is paused instead. */
async function untilStatus(migration: SourceMigration, wanted: SourceStatus): Promise<number> {
  return await new Promise<number>((resolve, reject) => {
    const look = (status: SourceStatus): void => {
      const isWanted = status === wanted;
      if (!isWanted && !isMishap(status, migration.error)) return;
      migration.off('status', look);
      if (isWanted) return resolve(monotonicMillis());
      reject(migration.error ?? new Error(`the migration is ${status}`));
    };
    migration.on('status', look);
  });
}

/** Paused by a lost link, and not by `cut`. */
function isMishap(status: SourceStatus, error: Error | undefined): boolean {
  if (status !== 'postcopy-paused') return status === 'failed';
  return !(error instanceof MigrationError && error.code === 'ERR_POSTCOPY_PAUSED_BY_USER');
}

import { type Address, type Channel, Listener } from '@godwit/transport';

import { cpuSeconds } from '../migrate/clock.ts';
import { Pump, sharesOf } from './pump.ts';
import { PumpMemory } from './pump-memory.ts';
import type { PumpEndPlan, PumpReport } from './side-api.ts';

const OPENING_LIMIT_MILLIS = 5_000;

/** The reading end of a raw pump: a listener, memory, and threads that wait for their descriptors. */
export class PumpEnd {
  readonly #listener: Listener;
  readonly #report: Promise<PumpReport>;

  static async open(plan: PumpEndPlan): Promise<PumpEnd> {
    const memory = new PumpMemory(plan.memoryBytes, plan.postcopy);
    const pump = await Pump.start(memory.work, sharesOf(memory, plan.channels));
    const connected = new Connections(plan.channels);
    const listener = await Listener.open(plan.address, {
      // Whoever comes is ours: the address is known to nobody else.
      admit: ({ migrationId, proof }) => ({ session: { migrationId, secret: proof }, epoch: 0 }),
      onChannel: (channel, { index }) => connected.add(channel, index),
      timeoutMillis: OPENING_LIMIT_MILLIS,
    });
    memory.prepare(plan.memory);
    const cpuBefore = cpuSeconds();
    const report = connected.all.then(async (channels) => {
      const times = await pump.run(channels);
      const cpu = cpuSeconds() - cpuBefore;
      for (const channel of channels) channel.close();
      memory[Symbol.dispose]();
      return { ...times, cpuSeconds: cpu };
    });
    report.catch(() => undefined); // told to whoever asks for it
    return new PumpEnd(listener, report);
  }

  private constructor(listener: Listener, report: Promise<PumpReport>) {
    this.#listener = listener;
    this.#report = report;
  }

  get address(): Address {
    return this.#listener.address;
  }

  /** @returns when every byte has come; everything is given back. */
  async done(): Promise<PumpReport> {
    const report = await this.#report;
    await this.#listener.close();
    return report;
  }
}

/** Channels as they come, in the order of their indices once all are there. */
class Connections {
  readonly all: Promise<readonly Channel[]>;
  readonly #count: number;
  readonly #byIndex = new Map<number, Channel>();
  #complete: (channels: readonly Channel[]) => void = () => undefined;

  constructor(count: number) {
    this.#count = count;
    this.all = new Promise((resolve) => {
      this.#complete = resolve;
    });
  }

  add(channel: Channel, index: number): void {
    this.#byIndex.set(index, channel);
    if (this.#byIndex.size < this.#count) return;
    const inOrder = [...this.#byIndex].toSorted(([a], [b]) => a - b);
    this.#complete(inOrder.map(([, it]) => it));
  }
}

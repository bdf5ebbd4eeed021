import { Advice, advise, mapAnonymous, SystemError, unmap } from '@godwit/posix';
import { type Address, type Channel, Listener } from '@godwit/transport';

import { cpuSeconds } from '../migrate/clock.ts';
import { prepareMemory } from './memory.ts';
import { PumpThread } from './pump-thread.ts';
import type { IncomingPlan, PumpReport } from './side-api.ts';

const OPENING_LIMIT_MILLIS = 5_000;

/** The reading end of a raw pump: a listener, memory, and a thread that waits for the descriptor. */
export class PumpEnd {
  readonly #listener: Listener;
  readonly #report: Promise<PumpReport>;

  /** @param plan.postcopy in 4 KiB pages, as memory in which pages can be missing must be. */
  static async open(plan: IncomingPlan & { postcopy: boolean }): Promise<PumpEnd> {
    const { memoryBytes, memory } = plan;
    const address = mapAnonymous(memoryBytes);
    if (plan.postcopy) refuseHugePages(address, memoryBytes);
    const thread = await PumpThread.start({ role: 'read', address, byteLength: memoryBytes });
    let admit: (channel: Channel) => void = () => undefined;
    const admitted = new Promise<Channel>((resolve) => {
      admit = resolve;
    });
    const listener = await Listener.open(plan.address, {
      // Whoever comes is ours: the address is known to nobody else.
      admit: ({ migrationId, proof }) => ({ session: { migrationId, secret: proof }, epoch: 0 }),
      onChannel: admit,
      timeoutMillis: OPENING_LIMIT_MILLIS,
    });
    prepareMemory(memory, address, memoryBytes);
    const cpuBefore = cpuSeconds();
    const report = admitted.then(async (admittedChannel) => {
      using channel = admittedChannel;
      const times = await thread.run(channel.descriptor);
      const cpu = cpuSeconds() - cpuBefore;
      unmap(address, memoryBytes);
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

function refuseHugePages(address: number, byteLength: number): void {
  try {
    advise(address, byteLength, Advice.NOHUGEPAGE);
  } catch (error) {
    // A kernel without huge pages does not know the advice and does not need it.
    if (!(error instanceof SystemError) || error.code !== 'EINVAL') throw error;
  }
}

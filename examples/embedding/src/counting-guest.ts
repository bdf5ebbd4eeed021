import { isMainThread, Worker, workerData } from 'node:worker_threads';
import * as godwit from '@godwit/core';

/** Counts in one page after the other: after n steps the first words of all pages add up to n. */
class CountingGuest implements godwit.Guest {
  readonly ram = godwit.allocateRam([{ id: 'ram', byteLength: 2 ** 25 }]).blocks;
  /** Shared with the vCPU: whether it is to run, whether it runs, its steps. */
  readonly state = new Int32Array(new SharedArrayBuffer(12));
  readonly vcpu = new Worker(new URL(import.meta.url), { workerData: [this.ram[0], this.state] });
  running = false;
  pause = (): Promise<void> => this.#obey(0);
  resume = (): Promise<void> => this.#obey(1);
  saveDeviceState = (): Uint8Array => new Uint8Array(Int32Array.of(...this.state).buffer, 8);
  loadDeviceState = (saved: Uint8Array): void => new Uint8Array(this.state.buffer, 8).set(saved);

  async #obey(wanted: 0 | 1, state = this.state): Promise<void> {
    this.running = wanted === 1;
    Atomics.store(state, 0, wanted);
    Atomics.notify(state, 0);
    while (Atomics.load(state, 1) !== wanted) await Atomics.waitAsync(state, 1, 1 - wanted).value;
  }
}

/** The vCPU is a thread of its own: whoever touches a missing page waits until that has come. */
function runVcpu(block: godwit.RamBlock, state: Int32Array): void {
  const words = new Uint32Array(godwit.viewRam(block));
  for (;;) {
    const wanted = Atomics.store(state, 1, Atomics.load(state, 0)); // obeys, and says so
    Atomics.notify(state, 1);
    if (wanted === 0) Atomics.wait(state, 0, 0);
    for (; wanted === 1 && Atomics.load(state, 0) === 1; Atomics.wait(state, 0, 1, 0.1)) {
      Atomics.add(words, (Atomics.add(state, 2, 1) * 1024) % words.length, 1);
    }
  }
}

if (isMainThread) {
  const guest = new CountingGuest();
  const address = godwit.parseAddress(process.argv[3] ?? '');
  const parameters = godwit.parameterDefaults;
  if (process.argv[2] === 'send') {
    const capabilities = { ...godwit.capabilityDefaults, 'postcopy-ram': true };
    const migration = new godwit.SourceMigration(guest, { capabilities, parameters });
    migration.on('status', (status) => console.log(status));
    await guest.resume();
    migration.start(address);
    migration.startPostcopy(); // it leaves as soon as it can, and its memory follows
    await migration.ended;
  } else {
    const migration = new godwit.DestinationMigration(guest, { parameters: () => parameters });
    migration.on('status', (status) => console.log(status));
    await migration.listen(address);
    await migration.ended;
  }
  await guest.pause();
  const counts = new Uint32Array(godwit.viewRam(guest.ram[0]!)).filter((_, i) => i % 1024 === 0);
  console.log(`${guest.state[2]} steps, the pages say ${counts.reduce((a, b) => a + b)}`);
  await guest.vcpu.terminate();
} else runVcpu(...(workerData as [godwit.RamBlock, Int32Array]));

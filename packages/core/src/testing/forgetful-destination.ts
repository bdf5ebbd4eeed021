import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { closeDescriptor, pageBytes } from '@godwit/posix';
import { capabilityDefaults } from '../capabilities.ts';
import type { Guest } from '../guest.ts';
import { allocateRam } from '../memory/guest-ram.ts';
import type { RamBlock } from '../memory/ram-block.ts';
import { viewRam } from '../memory/ram-view.ts';
import { DestinationMigration } from '../migration/destination.ts';
import { SourceMigration } from '../migration/source.ts';
import { parameterDefaults } from '../parameters.ts';

/*
 * A program for tests: it migrates a guest to itself by postcopy and then, with pages missing, makes the
 * mistake that must not matter: it closes its userfaultfd. Then the guest touches its last page, which is
 * all ones at the source, and the program says what the guest has read there.
 *
 * Started with `alone`, it ends its guardians first, as often as new ones are started; with `exit` it makes
 * no mistake and ends with 3.
 */

const PAGES = 4096;
const LOOK_MILLIS = 5;

function newGuest(): Guest {
  const { blocks } = allocateRam([{ id: 'ram', byteLength: PAGES * pageBytes }]);
  const still = async (): Promise<void> => await Promise.resolve();
  const device = { saveDeviceState: () => Uint8Array.of(1), loadDeviceState: () => undefined };
  return { ram: blocks, running: true, pause: still, resume: still, ...device };
}

async function arrive(guest: Guest): Promise<DestinationMigration> {
  const parameters = { ...parameterDefaults, 'max-postcopy-bandwidth': 100_000 };
  const destination = new DestinationMigration(guest, { parameters: () => parameters });
  const leaving = newGuest();
  new Uint8Array(viewRam(leaving.ram[0] as RamBlock)).fill(1);
  const address = await destination.listen({ type: 'tcp', host: '127.0.0.1', port: 0 });
  const capabilities = { ...capabilityDefaults, 'postcopy-ram': true };
  const source = new SourceMigration(leaving, { capabilities, parameters });
  source.start(address);
  source.startPostcopy();
  while (source.status !== 'postcopy-active') await once(source, 'status');
  return destination;
}

async function endGuardians(destination: DestinationMigration): Promise<void> {
  while ((await destination.info())['x-guardian'] !== 'absent') {
    for (const pid of readdirSync('/proc')) if (isChild(pid)) process.kill(Number(pid), 'SIGKILL');
    await sleep(LOOK_MILLIS);
  }
}

function isChild(pid: string): boolean {
  try {
    const afterName = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1) ?? '';
    return afterName.split(' ')[1] === String(process.pid);
  } catch {
    return false; // no process, or ended meanwhile
  }
}

function isUserfaultfd(descriptor: string): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`) === 'anon_inode:[userfaultfd]';
  } catch {
    return false; // closed meanwhile
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

if (isMainThread) {
  const [mode] = process.argv.slice(2);
  const guest = newGuest();
  const destination = await arrive(guest);
  if (mode === 'alone') await endGuardians(destination);
  say((await destination.info())['x-guardian'] ?? 'none');
  if (mode === 'exit') process.exit(3);
  // It stands ready before the mistake: what its start opens could else be given the closed one's number,
  // and an engine that finds out what it has done, as it does within a second, ends before the guest reads.
  const go = new Int32Array(new SharedArrayBuffer(4));
  const vcpu = new Worker(new URL(import.meta.url), { workerData: { ram: guest.ram[0], go } });
  await once(vcpu, 'message');
  for (const fd of readdirSync('/proc/self/fd')) if (isUserfaultfd(fd)) closeDescriptor(Number(fd));
  Atomics.store(go, 0, 1);
  Atomics.notify(go, 0);
  await once(vcpu, 'exit');
  process.exit(0);
} else {
  const { ram, go } = workerData as { ram: RamBlock; go: Int32Array };
  const lastPage = new Uint8Array(viewRam(ram), (PAGES - 1) * pageBytes);
  parentPort?.postMessage('ready');
  Atomics.wait(go, 0, 0);
  writeSync(1, `the guest has read ${lastPage[0]}\n`);
}

import type { KeyObject } from 'node:crypto';

import {
  allocateRam,
  CrashJournal,
  type GuestRam,
  type MemoryMode,
  MigrationError,
  type RamBacking,
  type SecurityObjects,
} from '@godwit/core';
import { DummyGuest, type GuestError, type Workload } from '@godwit/guest';
import { Machine, machineCommands, machineEvents, QmpServer, QmpSocketError } from '@godwit/qmp';
import { type Address, formatAddress, parseAddress } from '@godwit/transport';

import { exitCodes, messageOf, UsageError } from './errors.ts';
import { named, parseQmpAddress } from './qmp-address.ts';
import { ProcessEnd } from './process-end.ts';
import { ReceiptWriter } from './receipt/receipt-writer.ts';

/** What the vCPUs may take to stop when the process ends; the rest is for what comes after them. */
const VCPU_LIMIT_MILLIS = 1_000;

const VRAM_BYTES = 4 * 1024 * 1024;

export interface GuestProcessOptions {
  readonly name: string;
  readonly uuid: string | undefined;
  /** Of pc.ram; vga.vram comes on top. */
  readonly memoryBytes: number;
  readonly backing: RamBacking;
  readonly memoryMode: MemoryMode;
  readonly vcpus: number;
  readonly workload: Workload;
  /** Pages/s; 0 is unlimited. */
  readonly rate: number;
  /** 0 to 1. */
  readonly fill: number;
  readonly seed: number;
  readonly qmp: readonly string[];
  readonly security: SecurityObjects;
  /** Where the guest comes from, if it does; `defer`: migrate-incoming will say. */
  readonly incoming: Address | 'defer' | undefined;
  readonly paused: boolean;
  /** Where receipts go; left out, they are only given to who asks. */
  readonly receipt?: string | undefined;
  readonly receiptKey?: KeyObject | undefined;
  /** Where the incoming guest is written to while its link is down; it may be taken up from there. */
  readonly journal: string | undefined;
  /** The line that says where it listens is a JSON document. */
  readonly json: boolean;
}

interface Listening {
  readonly qmp: readonly string[];
  readonly incoming?: string;
}

/**
 * Runs a guest in this process until it quits, which ends the process.
 *
 * @returns when it answers QMP, or is about to end because it could not.
 * @throws {UsageError} the guest cannot be as asked.
 */
export async function startGuestProcess(options: GuestProcessOptions): Promise<void> {
  const { name, uuid, vcpus, paused, security, receiptKey } = options;
  const end = new ProcessEnd(`godwit guest ${name}`);
  const journal = openJournal(options);
  const ram = allocate(options, journal?.left !== undefined);
  const guest = await createGuest(options, ram, (error) => end.begin(exitCodes.failed, error));
  const incoming = options.incoming !== undefined;
  const place = { paused, incoming, journal, security };
  const machine = new Machine({ name, uuid, guest, vcpus, ...place, receiptKey });
  writeReceipts(machine, end, options);
  const server = new QmpServer({ commands: machineCommands(machine), events: machineEvents });
  machine.on('event', (event, data) => server.emit(event, data));
  machine.on('listening', (address) => rememberFile(end, address));
  machine.on('quit', (code, reason) => end.begin(code, reason));
  end.steps.push(
    () => server.close(),
    () => close(machine, guest, ram),
  );
  end.beginOnSignals();
  try {
    const listening = await listen(options, server, machine, end);
    await machine.start();
    console.log(describe(options, listening)); // whoever reads it finds the guest running
  } catch (error) {
    end.begin(isUsage(error) ? exitCodes.usage : exitCodes.failed, error as Error);
  }
}

/** Asked for what is never given, rather than what failed. */
function isUsage(error: unknown): boolean {
  const isRemote = error instanceof QmpSocketError && error.code === 'ERR_NOT_LOOPBACK';
  return isRemote || error instanceof UsageError;
}

function writeReceipts(machine: Machine, end: ProcessEnd, options: GuestProcessOptions): void {
  const { name, receipt } = options;
  if (receipt === undefined) return;
  const writer = new ReceiptWriter(receipt, (message) =>
    console.error(`godwit guest ${name}: ${message}`),
  );
  writer.follow(machine);
  end.steps.push(async () => await writer.settled());
}

/** @throws {UsageError} it does not fit the rest, or cannot be continued from. */
function openJournal(options: GuestProcessOptions): CrashJournal | undefined {
  const { journal, backing, memoryMode, incoming } = options;
  if (journal === undefined) return undefined;
  if (incoming === undefined) throw new UsageError('--journal is for a guest with --incoming');
  if (!backing.startsWith('file:')) {
    throw new UsageError('--journal takes --backing file:PATH: other RAM ends with the process');
  }
  if (memoryMode === 'portable') throw new UsageError('--journal takes --memory-mode userfault');
  return asUsage(() => new CrashJournal(journal));
}

function allocate(
  { memoryBytes, backing, memoryMode }: GuestProcessOptions,
  taken: boolean,
): GuestRam {
  const specs = [
    { id: 'pc.ram', byteLength: memoryBytes },
    { id: 'vga.vram', byteLength: VRAM_BYTES },
  ];
  return asUsage(() => allocateRam(specs, backing, memoryMode, { taken }));
}

function asUsage<Result>(make: () => Result): Result {
  try {
    return make();
  } catch (error) {
    if (error instanceof MigrationError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

async function createGuest(
  options: GuestProcessOptions,
  ram: GuestRam,
  onCrash: (error: GuestError) => void,
): Promise<DummyGuest> {
  const { vcpus, workload, rate, fill, seed, incoming } = options;
  const program = { vcpus, workload, rate, fill, seed };
  try {
    const fillMemory = incoming === undefined;
    return await DummyGuest.create({ ram: ram.blocks, ...program, fillMemory, onCrash });
  } catch (error) {
    ram[Symbol.dispose]();
    if (error instanceof RangeError) throw new UsageError(messageOf(error), { cause: error });
    throw error;
  }
}

/** @returns where, in full. */
async function listen(
  { qmp, incoming, security }: GuestProcessOptions,
  server: QmpServer,
  machine: Machine,
  end: ProcessEnd,
): Promise<Listening> {
  const bounds: string[] = [];
  for (const text of qmp) {
    const { address, options } = parseQmpAddress(text, ['tls-creds', 'tls-authz', 'insecure']);
    const { 'tls-creds': credsId = '', 'tls-authz': authzId = '' } = options;
    const tls = named(security, (objects) => objects.forListening({ credsId, authzId }));
    const insecure = options.insecure === 'on';
    const bound = await server.listen(address, { security: tls, insecure });
    rememberFile(end, parseAddress(bound));
    bounds.push(bound);
  }
  if (incoming === undefined || incoming === 'defer') return { qmp: bounds };
  const bound = await machine.migrations.listen(incoming, true);
  return { qmp: bounds, incoming: formatAddress(bound) };
}

function describe({ name, json }: GuestProcessOptions, { qmp, incoming }: Listening): string {
  if (json) return JSON.stringify({ guest: name, pid: process.pid, qmp, incoming });
  const words = ['qmp', ...qmp, ...(incoming === undefined ? [] : ['incoming', incoming])];
  return `guest ${name}: ${words.join(' ')}`;
}

function rememberFile(end: ProcessEnd, address: Address): void {
  if (address.type === 'unix') end.socketFiles.add(address.path);
}

/** Pages must keep coming while vCPUs stop that wait for them, so the link goes after them. */
async function close(machine: Machine, guest: DummyGuest, ram: GuestRam): Promise<void> {
  await machine.migrations.closeOutgoing();
  await guest.close({ limitMillis: VCPU_LIMIT_MILLIS });
  await machine.migrations.closeIncoming();
  ram[Symbol.dispose]();
}

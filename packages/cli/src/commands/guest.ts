import type { MemoryMode, RamBacking, SecurityObject } from '@godwit/core';
import { type Workload, workloads } from '@godwit/guest';
import { probeMemory } from '@godwit/posix';
import { type Address, ChannelError, parseAddress } from '@godwit/transport';
import { type Command, InvalidArgumentError, Option } from 'commander';

import { startGuestProcess } from '../guest-process.ts';
import { checkPageRate, checkSize } from '../option-values.ts';
import { parseQmpAddress } from '../qmp-address.ts';
import { objectOption, securityObjects } from '../object-option.ts';
import { needLinux } from '../platform.ts';
import { readKey } from '../receipt/receipt-key.ts';
import { teach } from '../teach.ts';
import { chooseMemoryMode } from '../memory-mode.ts';

interface GuestOptions {
  readonly name: string;
  readonly memory: number;
  readonly vcpus: number;
  readonly workload: Workload;
  readonly rate: number;
  readonly fill: number;
  readonly seed: number;
  readonly uuid?: string;
  readonly backing: RamBacking;
  readonly memoryMode?: MemoryMode;
  readonly qmp: readonly string[];
  readonly incoming?: Address | 'defer';
  readonly object?: readonly SecurityObject[];
  readonly paused?: true;
  readonly receipt?: string;
  readonly receiptKey?: string;
  readonly journal?: string;
  readonly json?: true;
}

const AFTER = `It says in one line where it listens, and ends by QMP's quit, SIGTERM or Ctrl-C.
With --json that line is {"guest", "pid", "qmp": [addresses], "incoming": address or absent}.`;

/** `godwit guest`: one guest in this process, driven over QMP until it quits. */
export function registerGuest(program: Command): void {
  const command = needLinux(program.command('guest'))
    .description('run a guest that can be migrated, until it is told to quit')
    .requiredOption('--name <name>', 'how the guest is called')
    .requiredOption('--memory <size>', 'its RAM: 256M, 1G', checkSize)
    .option('--vcpus <count>', 'threads that write to it', checkNumber, 1)
    .addOption(new Option('--workload <kind>', 'what they do').choices(workloads).default('sweep'))
    .option(
      '--rate <pages/s>',
      'how many pages they visit: 20k, or 80M/s; 0: as many as they can',
      checkPageRate,
      0,
    )
    .option('--fill <share>', 'pages that are not zero at the start, 0 to 1', checkNumber, 1)
    .option('--seed <number>', 'of everything that is random about it', checkNumber, 1)
    .option('--uuid <uuid>', 'of the guest, for validate-uuid', checkUuid)
    .option('--backing <kind>', 'where RAM lives: anon, memfd or file:PATH', checkBacking, 'anon')
    .addOption(memoryModeOption())
    .requiredOption(
      '--qmp <address>',
      'where it answers QMP: unix:PATH or tcp:HOST:PORT[,tls-creds=ID][,tls-authz=ID][,insecure=on]; may be repeated',
      addQmpAddress,
    )
    .option(
      '--incoming <uri>',
      'the guest comes from there; defer: migrate-incoming',
      checkIncoming,
    )
    .addOption(objectOption())
    .option('--paused', 'it waits for cont')
    .option('--receipt <path>', 'a receipt of each migration goes to this file, or directory')
    .option('--receipt-key <file>', 'private key of ed25519, PEM: receipts are signed with it')
    .option(
      '--journal <path>',
      'with --incoming and --backing file:PATH: while postcopy is paused another process can take it up',
    )
    .option('--json', 'say where it listens as one JSON line')
    .action(runGuest);
  const guest = 'godwit guest --memory 256M';
  teach(
    command,
    [
      [
        'a guest that writes to a hot set of its pages',
        `${guest} --name A --qmp unix:/tmp/a.qmp --workload zipf`,
      ],
      [
        'a place for it to go',
        `${guest} --name B --qmp unix:/tmp/b.qmp --incoming unix:/tmp/b.mig`,
      ],
      [
        '80 MiB of its memory written each second',
        `${guest} --name C --qmp unix:/tmp/c.qmp --rate 80M/s`,
      ],
      [
        'a place that another process can take over while postcopy is paused',
        `${guest} --name D --qmp unix:/tmp/d.qmp --incoming unix:/tmp/d.mig --backing file:/dev/shm/d.ram --journal /var/tmp/d.journal`,
      ],
    ],
    AFTER,
  );
}

/** Of a guest, here and in the demo. */
export function memoryModeOption(): Option {
  const help =
    'how missing and written pages are noticed: by the kernel, or by the guest itself ' +
    '(default: userfault, where this process may)';
  return new Option('--memory-mode <mode>', help).choices(['userfault', 'portable']);
}

async function runGuest(options: GuestOptions): Promise<void> {
  const { memory, memoryMode, uuid, incoming, journal, paused = false, json = false } = options;
  const { name, vcpus, workload, rate, fill, seed, backing, qmp } = options;
  const { receipt, receiptKey: keyFile } = options;
  const security = await securityObjects(options.object);
  const receiptKey = keyFile === undefined ? undefined : readKey(keyFile, 'private');
  const { mode, notice } = chooseMemoryMode(memoryMode, probeMemory());
  if (notice !== undefined) console.error(`godwit guest ${options.name}: ${notice}`);
  const memoryOptions = { memoryBytes: memory, memoryMode: mode };
  const program = { vcpus, workload, rate, fill, seed };
  const about = { name, uuid, backing, qmp, security, incoming, journal, paused, json };
  await startGuestProcess({ ...program, ...memoryOptions, ...about, receipt, receiptKey });
}

/** What range a number must be in, the guest says. */
function checkNumber(text: string): number {
  const number = Number(text);
  if (text.trim() === '' || !Number.isFinite(number)) {
    throw new InvalidArgumentError(`'${text}' is not a number`);
  }
  return number;
}

function checkUuid(text: string): string {
  if (!/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(text)) {
    throw new InvalidArgumentError(`'${text}' is not a UUID`);
  }
  return text.toLowerCase();
}

function checkBacking(text: string): RamBacking {
  if (text === 'anon' || text === 'memfd') return text;
  const [, path = ''] = /^file:(.+)$/.exec(text) ?? [];
  if (path === '') throw new InvalidArgumentError(`'${text}' is none of anon, memfd, file:PATH`);
  return `file:${path}`;
}

function addQmpAddress(text: string, before: readonly string[] = []): readonly string[] {
  parseQmpAddress(text, ['tls-creds', 'tls-authz', 'insecure']);
  return [...before, text];
}

function checkIncoming(text: string): Address | 'defer' {
  return text === 'defer' ? text : checkAddress(text);
}

function checkAddress(text: string): Address {
  try {
    return parseAddress(text);
  } catch (error) {
    if (error instanceof ChannelError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}

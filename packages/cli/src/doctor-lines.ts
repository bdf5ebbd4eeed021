import type { Capability, HostCapabilities, MemoryCapabilities } from '@godwit/posix';

import { formatBytes } from './figures.ts';

const KERNEL_REMEDY = 'run Linux 6.7 or later';

const howNames = {
  syscall: 'by the system call, faults of the kernel included',
  device: 'by /dev/userfaultfd, faults of the kernel included',
  'user-mode-only': 'for faults of user code only: enough for our guests, not for KVM',
} as const;

interface Finding {
  readonly name: string;
  readonly capability: Capability;
  /** Without it memory is portable (docs/decisions/0015-portable-memory.md), and slower. */
  readonly required: boolean;
  /** What is good to know where it is there. */
  readonly detail?: string;
  /** Commands or advice; any one of them helps. */
  readonly remedies: readonly string[];
}

/** Whether this host can migrate guests at all: libc is spoken to on Linux alone. */
export function isFit(host: HostCapabilities): boolean {
  return host.platform === 'linux';
}

/** Whether the kernel notices missing and written pages; where not, `--memory-mode portable` does. */
function hasUserfault(host: HostCapabilities): boolean {
  return findings(host).every(({ required, capability }) => !required || capability.available);
}

/** What `godwit doctor` says. */
export function doctorLines(host: HostCapabilities): string[] {
  return [
    `${host.platform} ${host.kernelRelease} ${host.arch}, pages of ${host.pageBytes} bytes`,
    '',
    ...findings(host).flatMap(findingLines),
    '',
    ...memoryLines(host),
    '',
    conclusion(host),
  ];
}

function conclusion(host: HostCapabilities): string {
  if (!isFit(host)) return 'This host cannot migrate guests: it is not Linux.';
  if (hasUserfault(host)) return 'This host can migrate guests.';
  const only = 'This host can migrate guests with portable memory only: see what is MISSING above.';
  return `${only}\ngodwit guest chooses it by itself; the guest checks and marks its pages in software.`;
}

/** What would let the kernel notice missing and written pages, as `godwit doctor` says it. */
export function memoryRemedies(host: MemoryCapabilities): string[] {
  const lacking = memoryFindings(host).filter(({ capability }) => !capability.available);
  return [...new Set(lacking.flatMap(({ remedies }) => remedies))];
}

function findings(host: HostCapabilities): Finding[] {
  return [...memoryFindings(host), ...otherFindings(host)];
}

function memoryFindings(host: MemoryCapabilities): Finding[] {
  const { userfaultfd } = host;
  return [
    {
      name: 'userfaultfd',
      capability: userfaultfd,
      required: true,
      ...(userfaultfd.available ? { detail: howNames[userfaultfd.how] } : {}),
      remedies: userfaultfd.remedy.map((command) => `as root: ${command}`),
    },
    {
      name: 'PAGEMAP_SCAN',
      capability: host.pagemapScan,
      required: true,
      remedies: [KERNEL_REMEDY],
    },
    {
      name: 'dirty tracking',
      capability: host.wpAsync,
      required: true,
      detail: 'WP_ASYNC and PAGEMAP_SCAN together, tried out',
      remedies: [`${KERNEL_REMEDY}, and see userfaultfd above`],
    },
  ];
}

function otherFindings(host: HostCapabilities): Finding[] {
  return [
    {
      name: 'memfd',
      capability: host.memfd,
      required: false,
      detail: 'for --backing memfd',
      remedies: ['use --backing anon'],
    },
    {
      name: 'kvm',
      capability: host.kvm,
      required: false,
      detail: 'no guest of ours needs it yet',
      remedies: [`as root: usermod -aG kvm ${process.env['USER'] ?? 'USER'} (if /dev/kvm exists)`],
    },
    {
      name: 'mapping names',
      capability: host.mappingNames,
      required: false,
      detail: 'guest RAM has its names in /proc/PID/maps',
      remedies: ['run a kernel with CONFIG_ANON_VMA_NAME; only for looking at'],
    },
    {
      name: 'zero page',
      capability: host.zeroPage,
      required: false,
      detail: 'memory that was only read is known to be zero without a look',
      remedies: ['leave the kernel its zero page (PVM: no pvm_no_zero_page); only for speed'],
    },
  ];
}

function findingLines(finding: Finding): string[] {
  const { name, capability, required, detail, remedies } = finding;
  const lines = (verdict: string, text: string): string =>
    `${verdict.padEnd(9)}${name.padEnd(16)}${text}`.trimEnd();
  if (!capability.available) {
    return [
      lines(required ? 'MISSING' : 'absent', capability.reason),
      ...remedies.map((remedy, index) => `${(index === 0 ? '→' : 'or').padStart(24)} ${remedy}`),
    ];
  }
  // Available, and still the narrower kind: the remedies would widen it.
  const wider = name === 'userfaultfd' ? remedies : [];
  return [
    lines('ok', detail ?? ''),
    ...wider.map((remedy, index) => `${(index === 0 ? 'wider' : 'or').padStart(24)} ${remedy}`),
  ];
}

function memoryLines({ memory, sockets }: HostCapabilities): string[] {
  const { totalBytes, availableBytes, lockedBytesMax } = memory;
  const known = (bytes: number | undefined): string =>
    bytes === undefined ? 'unknown' : formatBytes(bytes);
  const locked = lockedBytesMax === undefined ? 'no limit' : formatBytes(lockedBytesMax);
  const send = `${known(sockets.sendBytesMax)}, tcp ${known(sockets.tcpSendBytesMax)}`;
  const receive = `${known(sockets.receiveBytesMax)}, tcp ${known(sockets.tcpReceiveBytesMax)}`;
  return [
    `memory          ${formatBytes(availableBytes)} available of ${formatBytes(totalBytes)}`,
    `locked memory   ${locked}`,
    `socket buffers  send at most ${send}; receive ${receive}`,
  ];
}

import type { Capability, HostCapabilities, MemoryCapabilities } from '@godwit/posix';

import { formatBytes } from './figures.ts';
import type { MemoryLimits } from './memory-limits.ts';

/**
 * `needed`: without it no guest migrates; `userfault`: without it memory is portable
 * (docs/decisions/0015-portable-memory.md), and slower; `optional`: named features lack; `advice`: it works, and
 * could work better.
 */
export type FindingLevel = 'needed' | 'userfault' | 'optional' | 'advice';

export interface Finding {
  readonly name: string;
  readonly level: FindingLevel;
  readonly ok: boolean;
  /** Why not, or what is good to know. */
  readonly detail: string;
  /** Commands or advice, any one of which helps; of what is there and could be more, too. */
  readonly remedies: readonly string[];
}

/** All that doctor looks at. */
export interface Examined {
  readonly host: HostCapabilities;
  readonly limits: MemoryLimits;
  /** `20.19.0` */
  readonly nodeVersion: string;
}

const NODE_MIN = [20, 19] as const;
const KERNEL_REMEDY = 'run Linux 6.7 or later';
/** A send in one piece: smaller buffers cost system calls, from which a fast link suffers. */
const SOCKET_BYTES_GOOD = 1024 * 1024;
const AVAILABLE_BYTES_GOOD = 512 * 1024 * 1024;
/** What RLIMIT_MEMLOCK must hold is the RAM of a guest. */
const LOCKED_BYTES_GOOD = 256 * 1024 * 1024;

const howNames = {
  syscall: 'by the system call, faults of the kernel included',
  device: 'by /dev/userfaultfd, faults of the kernel included',
  'user-mode-only': 'for faults of user code only: enough for our guests, not for KVM',
} as const;

/** Every question with its answer, the most important first. */
export function findingsOf(examined: Examined): readonly Finding[] {
  const { host, nodeVersion } = examined;
  return [
    nodeFinding(nodeVersion),
    ...userfaultFindings(host),
    ...memoryFindings(examined),
    ...socketFindings(examined),
    ...comfortFindings(host),
  ];
}

/** What would let the kernel notice missing and written pages. */
export function userfaultRemedies(host: MemoryCapabilities): string[] {
  const lacking = userfaultFindings(host).filter(({ ok }) => !ok);
  return [...new Set(lacking.flatMap(({ remedies }) => remedies))];
}

function userfaultFindings(host: MemoryCapabilities): Finding[] {
  return [
    userfaultfdFinding(host),
    capabilityFinding('PAGEMAP_SCAN', 'userfault', host.pagemapScan, '', [KERNEL_REMEDY]),
    capabilityFinding(
      'dirty tracking',
      'userfault',
      host.wpAsync,
      'WP_ASYNC and PAGEMAP_SCAN together, tried out',
      [`${KERNEL_REMEDY}, and see userfaultfd above`],
    ),
  ];
}

function nodeFinding(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [leastMajor, leastMinor] = NODE_MIN;
  const ok = major > leastMajor || (major === leastMajor && minor >= leastMinor);
  const remedies = [`install Node.js ${NODE_MIN.join('.')} or later: https://nodejs.org`];
  return { name: 'Node.js', level: 'needed', ok, detail: version, remedies: ok ? [] : remedies };
}

/** What is there in the narrower kind could be widened by the same commands. */
function userfaultfdFinding({ userfaultfd }: MemoryCapabilities): Finding {
  const { available, remedy } = userfaultfd;
  const asRoot = remedy.map((command) => `as root: ${command}`);
  const inContainer =
    'in a container: docker run --device /dev/userfaultfd …, or a seccomp profile that allows userfaultfd';
  return {
    name: 'userfaultfd',
    level: 'userfault',
    ok: available,
    detail: available ? howNames[userfaultfd.how] : userfaultfd.reason,
    remedies: available ? asRoot : [...asRoot, inContainer],
  };
}

function memoryFindings({ host, limits }: Examined): Finding[] {
  const { totalBytes, availableBytes, lockedBytesMax } = host.memory;
  const { groupBytesMax: groupMax, groupBytesUsed: used = 0 } = limits;
  const groupLeft = groupMax === undefined ? Infinity : Math.max(0, groupMax - used);
  const left = Math.min(availableBytes, groupLeft);
  const isLocked = lockedBytesMax !== undefined && lockedBytesMax < LOCKED_BYTES_GOOD;
  return [
    {
      name: 'memory',
      level: 'advice',
      ok: left >= AVAILABLE_BYTES_GOOD,
      detail: `${formatBytes(left)} available of ${formatBytes(totalBytes)}: a guest needs its size once on each side`,
      remedies:
        left >= AVAILABLE_BYTES_GOOD
          ? []
          : ['end what uses it: ps -eo rss,pid,comm --sort=-rss | head'],
    },
    {
      name: 'memory cgroup',
      level: 'advice',
      ok: groupLeft >= AVAILABLE_BYTES_GOOD,
      detail:
        groupMax === undefined
          ? 'no limit'
          : `${formatBytes(groupLeft)} left of ${formatBytes(groupMax)}`,
      remedies:
        groupLeft >= AVAILABLE_BYTES_GOOD
          ? []
          : [
              'raise the limit: docker run --memory …, systemd: MemoryMax=, Kubernetes: limits.memory',
            ],
    },
    {
      name: 'locked memory',
      level: 'advice',
      ok: !isLocked,
      detail: `${lockedBytesMax === undefined ? 'no limit' : formatBytes(lockedBytesMax)}: a source with --backing memfd or file needs its RAM's size`,
      remedies: isLocked
        ? ['in this shell, as root: ulimit -l unlimited', 'systemd: LimitMEMLOCK=infinity']
        : [],
    },
  ];
}

function socketFindings({ host, limits }: Examined): Finding[] {
  const { sendBytesMax, receiveBytesMax, tcpSendBytesMax, tcpReceiveBytesMax } = host.sockets;
  const buffer = (
    name: string,
    sysctl: string,
    bytes: number | undefined,
    remedy: string,
  ): Finding => {
    const ok = bytes === undefined || bytes >= SOCKET_BYTES_GOOD;
    const detail = `${sysctl} ${bytes === undefined ? 'unknown' : formatBytes(bytes)}`;
    return { name, level: 'advice', ok, detail, remedies: ok ? [] : [`as root: ${remedy}`] };
  };
  const pressure = limits.tcpPagesPressure;
  const tcpBytes = pressure === undefined ? undefined : pressure * host.pageBytes;
  return [
    buffer('send buffer', 'wmem_max', sendBytesMax, 'sysctl -w net.core.wmem_max=4194304'),
    buffer('receive buffer', 'rmem_max', receiveBytesMax, 'sysctl -w net.core.rmem_max=4194304'),
    buffer(
      'tcp send',
      'tcp_wmem',
      tcpSendBytesMax,
      "sysctl -w net.ipv4.tcp_wmem='4096 16384 4194304'",
    ),
    buffer(
      'tcp receive',
      'tcp_rmem',
      tcpReceiveBytesMax,
      "sysctl -w net.ipv4.tcp_rmem='4096 131072 6291456'",
    ),
    buffer(
      'tcp memory',
      'tcp_mem pressure',
      tcpBytes,
      "sysctl -w net.ipv4.tcp_mem='65536 98304 131072'",
    ),
  ];
}

function comfortFindings(host: HostCapabilities): Finding[] {
  return [
    capabilityFinding('memfd', 'optional', host.memfd, 'for --backing memfd', [
      'use --backing anon',
    ]),
    capabilityFinding('kvm', 'optional', host.kvm, 'no guest of ours needs it yet', [
      `as root: usermod -aG kvm ${process.env['USER'] ?? 'USER'} (if /dev/kvm exists)`,
      'as root: modprobe kvm_intel (or kvm_amd); in a virtual machine its host must allow it',
    ]),
    capabilityFinding(
      'mapping names',
      'optional',
      host.mappingNames,
      'guest RAM has its names in /proc/PID/maps',
      ['run a kernel with CONFIG_ANON_VMA_NAME; only for looking at'],
    ),
    capabilityFinding(
      'zero page',
      'optional',
      host.zeroPage,
      'memory that was only read is known to be zero without a look',
      ['leave the kernel its zero page (PVM: no pvm_no_zero_page); only for speed'],
    ),
  ];
}

function capabilityFinding(
  name: string,
  level: FindingLevel,
  capability: Capability,
  detail: string,
  remedies: readonly string[],
): Finding {
  if (capability.available) return { name, level, ok: true, detail, remedies: [] };
  return { name, level, ok: false, detail: capability.reason, remedies };
}

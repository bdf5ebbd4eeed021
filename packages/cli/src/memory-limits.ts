import { readFileSync } from 'node:fs';

/** What the kernel allows this process beside what the host has. Absent: no limit, or not told. */
export interface MemoryLimits {
  /** Of the control group, and what is in use of it. */
  readonly groupBytesMax?: number;
  readonly groupBytesUsed?: number;
  /** Pages of all TCP sockets, from which on the kernel makes them smaller. */
  readonly tcpPagesPressure?: number;
}

/** More than any host has: how version 1 of control groups says "no limit". */
const UNLIMITED = 2 ** 60;

/** Both versions of control groups; a limit further up in the tree is not seen from a container. */
export function readMemoryLimits(): MemoryLimits {
  const v2 = /^0::(.*)$/m.exec(read('/proc/self/cgroup') ?? '')?.[1] ?? '/';
  const v1 = /^\d+:memory:(.*)$/m.exec(read('/proc/self/cgroup') ?? '')?.[1] ?? '/';
  const max =
    numberIn([`/sys/fs/cgroup${v2}/memory.max`, '/sys/fs/cgroup/memory.max']) ??
    numberIn([
      `/sys/fs/cgroup/memory${v1}/memory.limit_in_bytes`,
      '/sys/fs/cgroup/memory/memory.limit_in_bytes',
    ]);
  const used =
    numberIn([`/sys/fs/cgroup${v2}/memory.current`, '/sys/fs/cgroup/memory.current']) ??
    numberIn([
      `/sys/fs/cgroup/memory${v1}/memory.usage_in_bytes`,
      '/sys/fs/cgroup/memory/memory.usage_in_bytes',
    ]);
  const pressure = /^\d+\s+(\d+)/.exec(read('/proc/sys/net/ipv4/tcp_mem') ?? '')?.[1];
  const isLimited = max !== undefined && max < UNLIMITED;
  return {
    ...(isLimited ? { groupBytesMax: max } : {}),
    ...(isLimited && used !== undefined ? { groupBytesUsed: used } : {}),
    ...(pressure === undefined ? {} : { tcpPagesPressure: Number(pressure) }),
  };
}

/** The first of the files that holds a number. */
function numberIn(paths: readonly string[]): number | undefined {
  for (const path of paths) {
    const text = read(path)?.trim() ?? '';
    if (/^\d+$/.test(text)) return Number(text);
  }
  return undefined;
}

/** This host may have no such file, or hide it: then it sets no limit that we could tell. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

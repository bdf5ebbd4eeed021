import { type MemoryKind, memoryKind, type MigrateBenchOptions } from './options.ts';

const memoryWords: Readonly<Record<MemoryKind, string>> = {
  preallocated: 'RAM preallocated',
  warmed: 'RAM fresh, host warmed',
  fresh: 'RAM fresh',
};

/** `precopy, 1 GiB, unix, idle guest, RAM preallocated, 3 runs` */
export function describeOptions(options: MigrateBenchOptions): string {
  const { mode, memoryBytes, transport, channels, zlibLevel, workload, rate, runs } = options;
  const tls = options.tls === undefined ? [] : ['TLS'];
  const { capabilities = [] } = options;
  const portable = options.memoryMode === 'portable' ? ['portable memory'] : [];
  const guest = rate > 0 ? `${workload} guest at ${rate} pages/s` : `${workload} guest`;
  const memory = memoryWords[memoryKind(options)];
  const count = runs === 1 ? '1 run' : `${runs} runs`;
  const way = channels === 1 ? transport : `${transport} × ${channels}`;
  const coding = zlibLevel === undefined ? [] : [`zlib ${zlibLevel}`];
  const size = formatSize(memoryBytes);
  const how = [...portable, way, ...tls, ...coding, ...capabilities];
  return [mode, size, ...how, guest, memory, count].join(', ');
}

/** Of the pump that migrations are compared with. */
export function pumpName({ mode, channels, memoryMode }: MigrateBenchOptions): string {
  const pumps = channels === 1 ? 'raw pump' : `${channels} raw pumps`;
  return mode === 'precopy' || memoryMode === 'portable'
    ? pumps
    : `${pumps}, placed by UFFDIO_COPY`;
}

/** What a reader must know of the destination's memory to trust the figures. */
export function explainMemory(options: MigrateBenchOptions): string {
  return memoryExplanations[memoryKind(options)];
}

const memoryExplanations: Readonly<Record<MemoryKind, string>> = {
  preallocated:
    'destination RAM touched before each run, for migration and pump alike (--fresh: not)',
  warmed:
    "destination RAM is fresh by design; the host's memory was warmed, by touching and freeing " +
    'as much right before each run (--fresh: not)',
  fresh:
    'destination RAM never touched, for migration and pump alike: the host may have to fetch ' +
    'it first, expect a wide spread',
};

function formatSize(bytes: number): string {
  const gib = bytes / 2 ** 30;
  return gib >= 1 ? `${round(gib)} GiB` : `${round(bytes / 2 ** 20)} MiB`;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

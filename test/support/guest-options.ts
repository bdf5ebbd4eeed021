import type { TestDirectory } from './test-directory.ts';

export type Workload = 'sweep' | 'random' | 'zipf' | 'idle';

export interface GuestOptions {
  readonly name: string;
  readonly directory: TestDirectory;
  /** An address or `defer`; left out, the guest runs here from the start. */
  readonly incoming?: string | undefined;
  readonly memory?: string | undefined;
  readonly workload?: Workload | undefined;
  /** Pages per second; 0 is unlimited. */
  readonly rate?: number | undefined;
  readonly fill?: number | undefined;
  readonly vcpus?: number | undefined;
  readonly seed?: number | undefined;
  readonly backing?: string | undefined;
  /** Default `memoryMode`: of the whole run. */
  readonly memoryMode?: MemoryMode | undefined;
  readonly extraArgs?: readonly string[] | undefined;
}

export type MemoryMode = 'userfault' | 'portable';

/** How the memory of guests is watched in this run of the tests; `pnpm test:portable` sets it. */
export const memoryMode: MemoryMode =
  process.env['GODWIT_MEMORY_MODE'] === 'portable' ? 'portable' : 'userfault';

/** The same on the command line. */
export function guestArguments(options: GuestOptions, socketPath: string): string[] {
  const { memory = '16M', workload = 'zipf', seed = 7, rate, fill, vcpus, backing } = options;
  const flags = {
    name: options.name,
    memory,
    workload,
    seed,
    rate,
    fill,
    vcpus,
    backing,
    'memory-mode': options.memoryMode ?? memoryMode,
    incoming: options.incoming,
    qmp: `unix:${socketPath}`,
  };
  const given = Object.entries(flags).filter(([, value]) => value !== undefined);
  return [
    ...given.flatMap(([flag, value]) => [`--${flag}`, String(value)]),
    ...(options.extraArgs ?? []),
  ];
}

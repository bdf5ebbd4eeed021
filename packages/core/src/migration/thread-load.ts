import type { DestinationThreads } from './destination-threads.ts';
import type { SourceThreads } from './source-threads.ts';

/**
 * What the threads that send pages have done with their time; all of it only grows. Beside a clock it
 * tells what they wait for: `paced-us` for the bandwidth limit, the rest of `write-us` that is not
 * `cpu-us` for the link or who reads it, and with `cpu-us` as fast as the clock they are the limit.
 */
export interface SenderLoad {
  /** That share the bulk: each may be busy all the time. */
  readonly threads: number;
  readonly 'cpu-us': number;
  readonly 'paced-us': number;
  /** In writes of pages that have returned. */
  readonly 'write-us': number;
}

/** The same for the threads that place the bulk. */
export interface ReceiverLoad {
  readonly threads: number;
  readonly 'cpu-us': number;
}

export function senderLoad(threads: SourceThreads): SenderLoad {
  const { sender, pageSenders, senderCounters } = threads;
  const micros = (name: 'pacedMillis' | 'writeMillis'): number =>
    Math.round(senderCounters.get(name) * 1000);
  return {
    threads: Math.max(1, pageSenders.length),
    'cpu-us': cpuMicros([sender, ...pageSenders]),
    'paced-us': micros('pacedMillis'),
    'write-us': micros('writeMillis'),
  };
}

export function receiverLoad({ receiver, pageReceivers }: DestinationThreads): ReceiverLoad {
  return {
    threads: Math.max(1, pageReceivers.length),
    'cpu-us': cpuMicros([receiver, ...pageReceivers]),
  };
}

function cpuMicros(threads: readonly { readonly cpuMicros: number }[]): number {
  return Math.round(threads.reduce((sum, thread) => sum + thread.cpuMicros, 0));
}

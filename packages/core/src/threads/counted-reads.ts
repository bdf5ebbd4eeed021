import type { ByteSource } from '@godwit/transport';

/** The reading thread's own `Counters`. */
interface ReadCounter {
  add(name: 'reads', value: number): void;
}

/**
 * Counts each read when it begins and when it ends, so that the main thread sees whether the link brings
 * anything, and whether anybody waits for it: the count is odd while a read is under way.
 */
export function countedReads(source: ByteSource, counters: ReadCounter): ByteSource {
  return (address, byteLength) => {
    counters.add('reads', 1);
    try {
      return source(address, byteLength);
    } finally {
      counters.add('reads', 1);
    }
  };
}

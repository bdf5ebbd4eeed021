import { Advice, advise, mapAnonymous, unmap } from '@godwit/posix';

import type { MemoryKind } from '../migrate/options.ts';

/**
 * Brings a destination's memory into the state that is to be measured; to be called last before the
 * clock starts, since a host may take free memory back within seconds.
 *
 * A kernel before 5.14 does not know the advice: there `preallocated` and `warmed` cannot be had.
 *
 * @throws {SystemError} `EINVAL` for that reason; `ENOMEM`.
 */
export function prepareMemory(kind: MemoryKind, address: number, byteLength: number): void {
  switch (kind) {
    case 'preallocated':
      advise(address, byteLength, Advice.POPULATE_WRITE);
      return;
    case 'warmed':
      warmHost(byteLength);
      return;
    case 'fresh':
      return;
  }
}

/**
 * Touches as much memory as will be needed and gives it back, so that the host has fetched the pages
 * that come next: first touch of memory that the host has taken back is several times slower.
 */
function warmHost(byteLength: number): void {
  const address = mapAnonymous(byteLength);
  try {
    advise(address, byteLength, Advice.POPULATE_WRITE);
  } finally {
    unmap(address, byteLength);
  }
}

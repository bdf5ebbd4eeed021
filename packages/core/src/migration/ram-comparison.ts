import { MigrationError } from '../errors.ts';
import type { SourceContext } from './source-context.ts';
import type { SourceThreads } from './source-threads.ts';

type Digests = readonly Uint8Array[] | undefined;

/**
 * Before the order to run.
 *
 * @throws {MigrationError} `ERR_DAMAGED`, naming the block.
 */
export function checkRam({ threads }: SourceContext, ours: Digests, theirs: Digests): void {
  const where = difference(threads, ours, theirs);
  if (where !== undefined) throw new MigrationError('ERR_DAMAGED', where);
  threads.ramDigests = ours;
}

/** After postcopy, where the guest runs already: what differs is told, and changes nothing any more. */
export function compareRam({ threads }: SourceContext, theirs: Digests): void {
  if (threads.sums === undefined || threads.ramDigests !== undefined) return; // or compared in precopy
  const ours = threads.sums.digests();
  const where = difference(threads, ours, theirs);
  if (where !== undefined) threads.ramDifference = new MigrationError('ERR_RAM_DIFFERS', where);
  threads.ramDigests = ours;
}

function difference({ blocks }: SourceThreads, ours: Digests, theirs: Digests): string | undefined {
  for (const [i, { id }] of blocks.entries()) {
    const their = theirs?.[i];
    if (their !== undefined && Buffer.from(ours?.[i] ?? []).equals(their)) continue;
    return `RAM is not the same on both sides: block '${id}' has another digest there`;
  }
  return undefined;
}

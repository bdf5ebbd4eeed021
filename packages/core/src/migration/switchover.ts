import { encodeDevice, type ReceivedProof } from '@godwit/transport';
import { MigrationError } from '../errors.ts';
import { complementOf, isSameReceived, proofOf } from '../memory/received-pages.ts';
import type { Switchover } from './precopy.ts';
import { handshake, type SourceContext } from './source-context.ts';

/**
 * While the guest still runs: what is stale at the destination so far is thrown away there, page by
 * page, so that little is left to do when the guest stands still.
 */
export async function discardStale(context: SourceContext): Promise<void> {
  const { threads, link, statistics, signal } = context;
  const { dirtiedPages } = await threads.sender.call('sync', undefined);
  statistics.synced(dirtiedPages);
  signal.throwIfAborted();
  await link.discard();
  await link.send({ t: 'flush' });
  await link.inbox.expect('flushed', handshake(context));
}

/**
 * The first half of the commit, with the guest stopped: the destination gets all that it needs to run
 * and proves that it could. Until here every failure leaves the guest with the source.
 */
export async function prepareSwitchover(
  context: SourceContext,
  how: Switchover,
  onPass: () => void,
): Promise<void> {
  const { guest, threads, link, statistics } = context;
  const { dirtiedPages } = await threads.sender.call('sync', undefined);
  statistics.synced(dirtiedPages);
  onPass();
  if (how === 'precopy') {
    statistics.transferred(await link.transfer({ rate: 'unlimited' }));
  } else {
    await link.discard();
    await link.send({ t: 'listen' });
  }
  await link.sendFrames([encodeDevice(guest.saveDeviceState())]);
  const loaded = await link.inbox.expect('loaded', handshake(context));
  checkReceived(loaded, context);
}

/** What the destination must have received by now. */
export function expectedReceived(context: SourceContext): ReceivedProof {
  return proofOf(complementOf(context.threads.dirty));
}

/** Both sides must mean the same pages when they say "the rest comes later". */
export function checkReceived(proof: ReceivedProof, context: SourceContext): void {
  if (isSameReceived(proof, expectedReceived(context))) return;
  const { pagesTotal } = context.statistics;
  const expected = pagesTotal - context.threads.dirtyPages();
  throw new MigrationError(
    'ERR_INCOMPLETE',
    `the destination has received ${proof.pages} of ${pagesTotal} pages where ${expected} were sent, or other ones`,
  );
}

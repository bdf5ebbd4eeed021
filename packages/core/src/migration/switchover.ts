import { encodeControl, encodeDevice, type ReceivedProof } from '@godwit/transport';
import { MigrationError } from '../errors.ts';
import { complementOf, isSameReceived, proofOf } from '../memory/received-pages.ts';
import type { DowntimeClock } from './downtime-parts.ts';
import { withLimit } from './limit.ts';
import type { Switchover } from './precopy.ts';
import { checkRam } from './ram-comparison.ts';
import { handshake, type SourceContext } from './source-context.ts';

/** Fewer pages than this are left to the stopped guest: to find them takes longer than to tell them. */
const FEW_PAGES = 256;
/** A guest that writes faster than can be told does not keep us for ever. */
const ROUNDS_MAX = 4;
/** The guest stands still: a link that damages so much is given up. */
const RESEND_ROUNDS_MAX = 4;

/**
 * While the guest still runs: what is stale at the destination so far is thrown away there, page by
 * page, so that little is left to do when the guest stands still. A page that is stale stays so
 * however often it is written, hence nothing is protected anew.
 */
export async function discardStale(context: SourceContext): Promise<void> {
  const { threads, link, statistics, signal } = context;
  for (let round = 1; round <= ROUNDS_MAX; round++) {
    const { dirtiedPages } = await threads.sender.call('collect', undefined);
    statistics.synced(dirtiedPages);
    signal.throwIfAborted();
    await link.discard();
    await link.send({ t: 'flush' });
    await link.inbox.expect('flushed', handshake(context));
    if (dirtiedPages <= FEW_PAGES && round > 1) return;
  }
}

/** @returns when every vCPU stands still: from here on every failure must let them go on. */
export async function stopGuest(context: SourceContext, clock: DowntimeClock): Promise<void> {
  const { guest, signal } = context;
  await withLimit(guest.pause(), { ...handshake(context), what: 'the stopped guest' });
  clock.partEnds();
  signal.throwIfAborted();
}

/**
 * The first half of the commit, with the guest stopped: the destination gets all that it needs to run
 * and proves that it could. Until here every failure leaves the guest with the source.
 */
export async function prepareSwitchover(
  context: SourceContext,
  how: Switchover,
  clock: DowntimeClock,
): Promise<void> {
  const { guest, link, statistics, signal } = context;
  const device = encodeDevice(guest.saveDeviceState());
  const frames = how === 'precopy' ? [device] : [encodeControl({ t: 'listen' }), device];
  const isChecked = how === 'precopy' && context.capabilities['x-checksum'];
  const sent = await link.switchover(how, isChecked ? [] : frames);
  signal.throwIfAborted();
  clock.partEnds(sent.syncMillis);
  statistics.synced(sent.dirtiedPages);
  const resendMillis = isChecked ? await sendDamaged(context) : 0;
  clock.partEnds(sent.pagesMillis + resendMillis);
  if (isChecked) await link.sendFrames(frames);
  // While the destination loads, and does the same.
  const isDigested = how === 'precopy' && context.capabilities['x-ram-digest'];
  const digesting = isDigested ? context.threads.sender.call('digest', undefined) : undefined;
  digesting?.catch(() => undefined); // awaited below, unless the link breaks before
  const expected = expectedReceived(context);
  const loaded = await link.inbox.expect('loaded', handshake(context));
  checkReceived(loaded, context, expected);
  if (digesting !== undefined) checkRam(context, await digesting, loaded.ram);
  clock.partEnds();
}

/**
 * The last pages have left: sends those again that arrived damaged, until none did. No page may follow
 * the device state.
 *
 * @returns how many milliseconds that took.
 * @throws {MigrationError} `ERR_DAMAGED`.
 */
async function sendDamaged(context: SourceContext): Promise<number> {
  const { threads, link, signal } = context;
  const started = performance.now();
  for (let round = 0; round < RESEND_ROUNDS_MAX; round++) {
    await link.send({ t: 'flush' });
    await link.inbox.expect('flushed', handshake(context));
    if (!threads.dirty.some((bitmap) => bitmap.next(0) >= 0)) return performance.now() - started;
    await link.transfer({ rate: 'unlimited' });
    signal.throwIfAborted();
  }
  throw new MigrationError('ERR_DAMAGED', describeDamage(context));
}

function describeDamage({ threads }: SourceContext): string {
  const { block = 0, firstPage = 0, pageCount = 0 } = threads.lastDamaged ?? {};
  const where = `${pageCount} pages of block '${threads.blocks[block]?.id}' from page ${firstPage} on`;
  return `pages arrive damaged, each time that they are sent: ${where} at last`;
}

/** What the destination must have received by now. */
export function expectedReceived(context: SourceContext): ReceivedProof {
  return proofOf(complementOf(context.threads.dirty));
}

/** Both sides must mean the same pages when they say "the rest comes later". */
export function checkReceived(
  proof: ReceivedProof,
  context: SourceContext,
  expected = expectedReceived(context),
): void {
  if (isSameReceived(proof, expected)) return;
  const { pagesTotal } = context.statistics;
  throw new MigrationError(
    'ERR_INCOMPLETE',
    `the destination has received ${proof.pages} of ${pagesTotal} pages where ${expected.pages} were sent, or other ones`,
  );
}

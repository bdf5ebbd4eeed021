import assert from 'node:assert/strict';
import { type DestinationMigration, MigrationError, type SourceMigration } from '@godwit/core';
import { pageBytes } from '@godwit/posix';
import { ChannelError } from '@godwit/transport';
import { type GuardedRam, pageOf } from './guarded-ram.ts';
import type { QuietGuest } from './quiet-guest.ts';
import type { Relay } from './relay.ts';
import type { Judge } from './wire-judge.ts';

export interface Ends {
  readonly source: SourceMigration;
  readonly destination: DestinationMigration;
  readonly guests: { readonly source: QuietGuest; readonly destination: QuietGuest };
  readonly judge: Judge;
  readonly relay: Relay;
}

/** What holds at every moment. */
export function checkMeanwhile({ source, guests, judge }: Ends): void {
  assert(
    judge.isOrderForged || !(guests.source.running && guests.destination.running),
    `the guest runs on both sides (source ${source.status})`,
  );
  assert(judge.hasOrder || guests.destination.resumes === 0, 'the guest runs without an order');
}

/** An error of ours has a code; anything else is a mistake that a peer can bring about. */
export function checkError(name: string, error: Error | undefined): void {
  if (error === undefined) return;
  // Core wraps what the threads and the transport throw: what it wraps is to be theirs as well.
  const beneath =
    error instanceof MigrationError && error.cause !== undefined ? error.cause : error;
  const isOurs = beneath instanceof ChannelError || beneath instanceof MigrationError;
  assert(isOurs, `the ${name} failed by a mistake of its own: ${error.stack}`);
}

/** What holds once both have ended. */
export function checkEnd(
  ends: Ends,
  ram: { sourceRam: GuardedRam; destinationRam: GuardedRam },
): void {
  const { source, destination, guests, judge } = ends;
  checkMeanwhile(ends);
  assert(
    ram.destinationRam.isGuardIntact,
    'memory beside guest RAM has changed at the destination',
  );
  assert(ram.sourceRam.isGuardIntact, 'memory beside guest RAM has changed at the source');
  assert(guests.destination.resumes <= 1, 'the destination ran the guest more than once');
  assert(
    source.status === 'failed' || source.status === 'completed',
    `the source ended in ${source.status}`,
  );
  assert.equal(
    guests.source.running,
    source.status === 'failed',
    `the guest at a source that is ${source.status}`,
  );
  if (destination.status === 'completed') {
    assert(guests.destination.running, 'completed, and the guest runs nowhere');
    return checkSame(ends, ram);
  }
  assert(
    source.status === 'failed' || judge.isAnswerForged || judge.isOrderForged,
    `completed, and the destination ${destination.status}`,
  );
  const isNothing = destination.status === 'failed' || destination.status === 'setup';
  if (isNothing) checkEmpty(ram.destinationRam);
}

/** Every page is the source's, but for those that a hostile peer has named. */
function checkSame(
  { judge }: Ends,
  { sourceRam, destinationRam }: { sourceRam: GuardedRam; destinationRam: GuardedRam },
): void {
  for (const [index, block] of destinationRam.blocks.entries()) {
    const original = sourceRam.blocks[index];
    assert(original !== undefined);
    for (let page = 0; page < block.byteLength / pageBytes; page++) {
      if (judge.tamperedPages[index]?.has(page) === true) continue;
      const isSame = Buffer.from(pageOf(block, page)).equals(pageOf(original, page));
      assert(isSame, `page ${page} of block ${index} is not the source's, and no frame changed it`);
    }
  }
}

/** Nothing was begun, or all that came is thrown away. */
function checkEmpty(ram: GuardedRam): void {
  for (const [index, block] of ram.blocks.entries()) {
    for (const page of ram.presentPages(block)) {
      const isEmpty = pageOf(block, page).every((byte) => byte === 0);
      assert(isEmpty, `page ${page} of block ${index} has content that nobody may keep`);
    }
  }
}

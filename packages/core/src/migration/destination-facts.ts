import type { ReceiptFacts } from '../receipt/receipt.ts';
import type { DestinationThreads } from './destination-threads.ts';
import type { IncomingGuest } from './incoming-guest.ts';

/** @param isCompleted every page is here: there is something to prove. */
export function destinationFacts(
  { capabilities }: IncomingGuest,
  { received, blocks, ramDigests }: DestinationThreads,
  isCompleted: boolean,
): Pick<ReceiptFacts, 'capabilities' | 'digest' | 'blocks' | 'ramDigests'> {
  const hex = Buffer.from(received.proof().digest).toString('hex');
  return { capabilities, digest: isCompleted ? hex : undefined, blocks, ramDigests };
}

import type { Session } from '@godwit/transport';
import { complementOf, proofOf } from '../memory/received-pages.ts';
import type { ReceiptFacts } from '../receipt/receipt.ts';
import type { SourceThreads } from './source-threads.ts';

/** @param isProved the destination has proved what it has received, and nothing is left here. */
export function sourceFacts(
  { migrationId }: Session,
  { dirty, blocks, ramDigests }: SourceThreads,
  isProved: boolean,
): Pick<ReceiptFacts, 'migrationId' | 'digest' | 'blocks' | 'ramDigests'> {
  const { digest } = proofOf(complementOf(dirty));
  const hex = Buffer.from(digest).toString('hex');
  return { migrationId, digest: isProved ? hex : undefined, blocks, ramDigests };
}

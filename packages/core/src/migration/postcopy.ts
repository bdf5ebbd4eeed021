import { handshake, type SourceContext } from './source-context.ts';
import { checkReceived } from './switchover.ts';
import { withLimit } from './limit.ts';

/**
 * The guest runs at the destination: sends what it lacks, and ends when the destination has proved
 * that it lacks nothing. Also the end of a precopy, where nothing is left to send.
 */
export async function postcopy(context: SourceContext): Promise<void> {
  const { link, statistics } = context;
  statistics.transferred(await link.transfer({ rate: 'postcopy' }));
  context.signal.throwIfAborted();
  await link.send({ t: 'end' });
  await finish(context);
}

/** The last words: complete, and noted as such. The guest is not affected if they get lost. */
export async function finish(context: SourceContext): Promise<void> {
  const { link } = context;
  const what = "the destination's 'complete'";
  const complete = await withLimit(link.inbox.complete, { ...handshake(context), what });
  checkReceived(complete, context);
  // Both sides know the end. A destination that does not get this word goes on answering recoveries.
  await link.send({ t: 'finished' }).catch(() => undefined);
}

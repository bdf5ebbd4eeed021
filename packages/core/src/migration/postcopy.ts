import { handshake, type SourceContext } from './source-context.ts';
import { compareRam } from './ram-comparison.ts';
import { checkReceived } from './switchover.ts';
import { type LimitOptions, withLimit } from './limit.ts';

/**
 * The guest runs at the destination: sends what it lacks, and ends when the destination has proved
 * that it lacks nothing. Also the end of a precopy, where nothing is left to send.
 */
export async function postcopy(context: SourceContext): Promise<void> {
  const { link, statistics } = context;
  for (;;) {
    const resends = link.resends.count;
    statistics.transferred(await link.transfer({ rate: 'postcopy' }));
    context.signal.throwIfAborted();
    if (link.resends.count !== resends) continue; // what is damaged again and again, the destination ends
    await link.send({ t: 'end' });
    const answer = link.resends.orComplete(resends, link.inbox.complete);
    const complete = await withLimit(answer, completeLimit(context));
    if (complete !== undefined) return await finish(context);
  }
}

/** The last words: complete, and noted as such. The guest is not affected if they get lost. */
export async function finish(context: SourceContext): Promise<void> {
  const { link } = context;
  const complete = await withLimit(link.inbox.complete, completeLimit(context));
  checkReceived(complete, context);
  compareRam(context, complete.ram);
  // Both sides know the end. A destination that does not get this word goes on answering recoveries.
  await link.send({ t: 'finished' }).catch(() => undefined);
}

function completeLimit(context: SourceContext): LimitOptions {
  return { ...handshake(context), what: "the destination's 'complete'" };
}

import { type Holdings, type HopResult, PingPong, type PingPongOptions } from '@godwit/chaos';

import { messageOf } from '../errors.ts';
import { formatBytes, formatMillis } from '../figures.ts';
import { GODWIT } from '../godwit-path.ts';

/** Before what the processes hold is looked at first: by then every kind of hop has been there. */
export const WARM_UP_HOPS = 10;

export interface PingPongEnd {
  readonly found: readonly string[];
  readonly holdings: readonly Holdings[];
}

/** @throws the reason of the signal; whatever else goes wrong has been found. */
export async function runPingPong(
  options: Pick<PingPongOptions, 'seed' | 'hops' | 'warmUp'>,
  signal: AbortSignal,
  tell: (hop: HopResult) => void,
): Promise<PingPongEnd> {
  await using game = await PingPong.open({ ...options, godwit: GODWIT, signal });
  try {
    for await (const hop of game.hops()) tell(hop);
    const holdings = game.found.length === 0 ? await game.compare() : [];
    return { found: game.found, holdings };
  } catch (error) {
    signal.throwIfAborted();
    const sides = JSON.stringify(game.sides.map((side) => side.describe()));
    return { found: [...game.found, `${messageOf(error)}\n${sides}`], holdings: [] };
  }
}

export function hopLine({ number, hop, isCut, recoveries, retries, millis }: HopResult): string {
  const { mode, transport, channels, cut } = hop;
  const pages = channels === 0 ? '' : ` multifd ${channels}`;
  const point = cut?.point;
  const where = point !== undefined && 'frame' in point ? ` ${cut?.at} ${point.frame}` : '';
  const what = isCut ? ` · ${cut?.kind}${where}, ${recoveries} recovered, ${retries} anew` : '';
  return `hop ${number}: ${mode} ${transport}${pages}${what} · ${formatMillis(millis)}`;
}

/** What it held after the warm-up and holds at the end, and by how much that may be more. */
export function holdingsLine({ name, before, after, threadsEnded, slack }: Holdings): string {
  const figures = (['threads', 'descriptors', 'mappings'] as const).map((what) => {
    return `${what} ${before[what]} → ${after[what]} (+${slack[what]})`;
  });
  const resident = (['residentBytes'] as const).map((what) => {
    const limit = formatBytes(slack[what]);
    return `RSS ${formatBytes(before[what])} → ${formatBytes(after[what])} (+${limit})`;
  });
  const ended = `${threadsEnded} threads ended`;
  return `process ${name}: ${[...figures, ...resident, ended].join(', ')}`;
}

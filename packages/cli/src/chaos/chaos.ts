import {
  type FaultKind,
  type Offers,
  planRun,
  type RunResult,
  runOnce,
  SEED_LIMIT,
  triableKinds,
} from '@godwit/chaos';
import { capabilityDefaults, parameterRules } from '@godwit/core';
import { probeMemory } from '@godwit/posix';

import { GODWIT } from '../godwit-path.ts';
import { chooseMemoryMode } from '../memory-mode.ts';

export interface ChaosOptions {
  /** Of the first run; each that follows has the next. */
  readonly seed: number;
  /** Whichever comes first; a run that has begun is ended. */
  readonly runs: number;
  readonly minutes: number;
  /** Left out: every kind that can be tried. */
  readonly only?: readonly FaultKind[];
  /** Where the log of a run goes that has found something. */
  readonly logs: string;
}

/** In which a link that is silent is given up, where that is noticed. */
const LINK_TIMEOUT_MILLIS = 2000;

/** What this engine and this host allow. */
export function findOffers(): Offers {
  const hasHeartbeats = 'x-link-timeout' in parameterRules;
  const isPortable = chooseMemoryMode(undefined, probeMemory()).mode === 'portable';
  return {
    linkTimeoutMillis: hasHeartbeats ? LINK_TIMEOUT_MILLIS : undefined,
    checksum: 'x-checksum' in capabilityDefaults,
    memoryModes: isPortable ? ['portable'] : ['userfault', 'portable'],
  };
}

/** @returns the kinds that are tried, and those that were wanted and cannot be. */
export function chooseKinds(
  offers: Offers,
  only: readonly FaultKind[] | undefined,
): { readonly kinds: FaultKind[]; readonly left: FaultKind[] } {
  const triable = triableKinds(offers);
  const wanted = only ?? ['black-hole', ...triable];
  const kinds = triable.filter((kind) => wanted.includes(kind));
  const left = [...new Set(wanted)].filter((kind) => !triable.includes(kind));
  return { kinds, left };
}

/** Run after run, up to the first that finds something. */
export async function* runChaos(
  options: ChaosOptions,
  kinds: readonly FaultKind[],
  signal: AbortSignal,
): AsyncGenerator<RunResult> {
  const { runs, minutes, seed, logs } = options;
  const offers = findOffers();
  const deadline = performance.now() + minutes * 60_000;
  for (let run = 0; run < runs && performance.now() < deadline; run += 1) {
    signal.throwIfAborted();
    const plan = planRun((seed + run) % SEED_LIMIT, kinds, offers);
    const result = await runOnce({ plan, offers, godwit: GODWIT, signal, logs });
    yield result;
    if (result.found.length > 0) return;
  }
}

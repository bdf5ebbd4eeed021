import type { ControlMessage } from '@godwit/transport';
import { type Capability, sharedCapabilities } from '../capabilities.ts';
import { HEARTBEAT_MILLIS_MIN, PAGE_CHANNELS_MAX, parameterRules } from '../parameters.ts';
import type { RamBlock } from '../memory/ram-block.ts';

type Start = Extract<ControlMessage, { readonly t: 'start' }>;

/** What a destination brings to the agreement. */
export interface AdoptionTerms {
  readonly blocks: readonly RamBlock[];
  readonly uuid: string | undefined;
}

/**
 * @returns why the migration cannot be taken, in words for the person at the source, or undefined.
 */
export function reasonToRefuse(start: Start, terms: AdoptionTerms): string | undefined {
  const unknown = start.caps.find(
    (name) => !(sharedCapabilities as readonly string[]).includes(name),
  );
  if (unknown !== undefined) return `capability '${unknown}' is not supported here`;
  const channels = start.channels ?? 0;
  const channelsMin = hasCapability(start, 'multifd') ? 1 : 0;
  const channelsMax = channelsMin * PAGE_CHANNELS_MAX;
  if (channels < channelsMin || channels > channelsMax) {
    return `${channels} page channels; multifd takes ${channelsMin} to ${channelsMax}`;
  }
  const { compression } = start;
  if (compression !== undefined && channels === 0) return 'compression takes page channels';
  if (compression !== undefined && compression !== 'zlib') {
    return `multifd-compression '${compression}' is not supported here`;
  }
  const { heartbeat } = start;
  if (heartbeat !== undefined && !isHeartbeatInterval(heartbeat)) {
    return `a heartbeat every ${heartbeat} ms is not given here`;
  }
  const pageBytes = terms.blocks[0]?.pageBytes;
  if (start.page !== pageBytes) {
    return `the page size is ${pageBytes} bytes here, ${start.page} at the source`;
  }
  const { uuid } = terms;
  if (hasCapability(start, 'validate-uuid') && start.uuid !== null && uuid !== undefined) {
    if (start.uuid !== uuid) return `the guest's UUID is ${uuid} here, ${start.uuid} at the source`;
  }
  const ours = terms.blocks.map((block) => `${block.id} of ${block.byteLength} bytes`).join(', ');
  const theirs = start.blocks.map(([id, bytes]) => `${id} of ${bytes} bytes`).join(', ');
  const isSame =
    start.blocks.length === terms.blocks.length &&
    terms.blocks.every(({ id, byteLength }, i) => {
      return start.blocks[i]?.[0] === id && start.blocks[i][1] === byteLength;
    });
  if (!isSame) return `RAM differs: ${ours} here, ${theirs} at the source`;
  return undefined;
}

function isHeartbeatInterval(millis: number): boolean {
  return millis >= HEARTBEAT_MILLIS_MIN && millis <= parameterRules['x-heartbeat-interval'].max;
}

export function hasCapability(start: Start, name: Capability): boolean {
  return start.caps.includes(name);
}

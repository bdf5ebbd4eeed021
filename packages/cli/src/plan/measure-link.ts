import type { QmpClient } from '@godwit/qmp';
import { type Address, formatAddress } from '@godwit/transport';

/** What two processes of one host make of it, memory to memory; where nobody says or measures otherwise. */
const LINK_BYTES_PER_SECOND = 1.5e9;
/** What a destination places while its guest faults, where that is not measured; of two cores. */
const PLACED_BYTES_PER_SECOND = 6e8;

export interface MeasuredLink {
  /** Bytes per second into fresh memory, and where each page is placed by fault. */
  readonly link: number;
  readonly placed: number;
  readonly roundTripMillis: number;
  readonly from: 'measured' | 'told' | 'assumed';
}

/** What `x-probe-link` answers. */
interface LinkInfo {
  readonly bandwidth: number;
  readonly 'postcopy-bandwidth'?: number;
  readonly 'round-trip-microseconds': number;
}

/**
 * Measured by the process that would send, on its host; the destination goes on waiting.
 *
 * @param to left out: nothing is measured.
 * @param told what the link carries: then the round trip alone is measured, which costs no bytes.
 * @throws {QmpError} nobody listens there, or it is busy.
 */
export async function measureLink(
  client: QmpClient,
  to: Address | undefined,
  told: number | undefined,
): Promise<MeasuredLink> {
  const known = { link: told ?? LINK_BYTES_PER_SECOND, placed: PLACED_BYTES_PER_SECOND };
  const from = told === undefined ? 'assumed' : 'told';
  if (to === undefined) return { ...known, roundTripMillis: 0, from };
  const order = { uri: formatAddress(to), ...(told === undefined ? {} : { milliseconds: 0 }) };
  const info = await client.execute<LinkInfo>('x-probe-link', order);
  const roundTripMillis = info['round-trip-microseconds'] / 1000;
  if (told !== undefined) return { ...known, roundTripMillis, from };
  const placed = info['postcopy-bandwidth'] ?? Math.min(info.bandwidth, known.placed);
  return { link: info.bandwidth, placed, roundTripMillis, from: 'measured' };
}

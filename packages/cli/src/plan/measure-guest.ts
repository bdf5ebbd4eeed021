import { setTimeout as after } from 'node:timers/promises';

import type { QmpClient } from '@godwit/qmp';

import type { PlanInput } from './predict.ts';

const POLL_MILLIS = 50;

/** What query-dirty-rate says of what we need; `x-pages` is ours alone. */
interface DirtyRateInfo {
  readonly status: string;
  readonly 'x-pages'?: {
    readonly 'page-size': number;
    readonly total: number;
    readonly present: number;
    readonly zero: number;
    readonly 'dirty-curve': readonly { readonly 'elapsed-us': number; readonly pages: number }[];
  };
}

export type MeasuredGuest = Pick<
  PlanInput,
  'pageBytes' | 'totalPages' | 'presentPages' | 'zeroPages' | 'curve'
>;

/**
 * Watches the guest for a while; it runs on, and pays about a microsecond for the first write to a page.
 *
 * @throws {Error} something ended the measurement, or the process does not tell how the pages grew.
 */
export async function measureGuest(client: QmpClient, millis: number): Promise<MeasuredGuest> {
  const unit = { 'calc-time-unit': 'millisecond' };
  const order = { 'calc-time': millis, ...unit, mode: 'dirty-bitmap' };
  await client.execute('calc-dirty-rate', order);
  await after(millis);
  for (;;) {
    const info = await client.execute<DirtyRateInfo>('query-dirty-rate', unit);
    if (info.status === 'measured') return measuredGuest(info);
    if (info.status !== 'measuring') {
      throw new Error('the measurement was ended: has somebody begun to migrate the guest?');
    }
    await after(POLL_MILLIS);
  }
}

function measuredGuest({ 'x-pages': pages }: DirtyRateInfo): MeasuredGuest {
  if (pages === undefined) {
    throw new Error('that process does not tell how many pages were written when: it is no godwit');
  }
  return {
    pageBytes: pages['page-size'],
    totalPages: pages.total,
    presentPages: pages.present,
    zeroPages: pages.zero,
    curve: pages['dirty-curve'].map((look) => ({
      millis: look['elapsed-us'] / 1000,
      pages: look.pages,
    })),
  };
}

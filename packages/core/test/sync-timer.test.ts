import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SYNC_INTERVAL_MILLIS, SyncTimer } from '../src/migration/sync-timer.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('a pass that takes long is interrupted by a sync, the first one never', () => {
  const wantSync = vi.fn<() => void>();
  using timer = new SyncTimer(wantSync);
  vi.advanceTimersByTime(4 * SYNC_INTERVAL_MILLIS);
  expect(wantSync).not.toHaveBeenCalled();
  timer.synced();
  vi.advanceTimersByTime(SYNC_INTERVAL_MILLIS);
  expect(wantSync).not.toHaveBeenCalled(); // there was one meanwhile
  vi.advanceTimersByTime(SYNC_INTERVAL_MILLIS);
  expect(wantSync).toHaveBeenCalledOnce();
});

test('no sync is asked for once the passes are over', () => {
  const wantSync = vi.fn<() => void>();
  const timer = new SyncTimer(wantSync);
  timer.synced();
  timer[Symbol.dispose]();
  vi.advanceTimersByTime(4 * SYNC_INTERVAL_MILLIS);
  expect(wantSync).not.toHaveBeenCalled();
});

import { RateWindow } from '../rate-window.ts';
import { bySide, type SideView } from './watched-side.ts';

const RATE_WINDOW_MILLIS = 1000;

/** All that a display shows. */
export interface WatchState {
  readonly elapsedMillis: number;
  readonly source?: SideView;
  readonly destination?: SideView;
  /** Of the last second: bytes that left the source, or that came in where only that side is known. */
  readonly bytesPerSecond: number;
  /** Faults served by the source in the last second. */
  readonly faultsPerSecond: number;
}

/** Makes states of what the sides say, one look after the other. */
export class WatchHistory {
  readonly #bytes = new RateWindow(RATE_WINDOW_MILLIS);
  readonly #faults = new RateWindow(RATE_WINDOW_MILLIS);

  next(views: readonly SideView[], elapsedMillis: number): WatchState {
    const { source, destination } = bySide(views);
    const ram = source?.migrate.ram;
    const received = destination?.migrate['x-ram'];
    const pageBytes = destination?.pageMap?.['page-size'] ?? 4096;
    const bytes = ram?.transferred ?? (received?.['normal-pages'] ?? 0) * pageBytes;
    this.#bytes.add(bytes, elapsedMillis);
    this.#faults.add(destination?.migrate['x-faults']?.served ?? 0, elapsedMillis);
    return {
      elapsedMillis,
      ...(source === undefined ? {} : { source }),
      ...(destination === undefined ? {} : { destination }),
      bytesPerSecond: this.#bytes.perSecond,
      faultsPerSecond: this.#faults.perSecond,
    };
  }
}

/** Where the migration stands as a whole: the source decides, where it is known. */
export function statusOf({ source, destination }: WatchState): string {
  return source?.migrate.status ?? destination?.migrate.status ?? 'none';
}

import type { Parameters } from '../parameters.ts';
import type { TransferResult } from '../threads/ram-sender-api.ts';
import { type ChecksumInfo, checksumInfo } from './checksum-info.ts';
import { DowntimeClock, type DowntimeParts } from './downtime-parts.ts';
import { ExpectedDowntime } from './expected-downtime.ts';
import type { SourceThreads } from './source-threads.ts';
import { type SenderLoad, senderLoad } from './thread-load.ts';

/** A bandwidth is measured over at least this long: a short pass says little. */
const WINDOW_MILLIS = 100;

/** What query-migrate's `ram` says; QEMU's names and units. */
export interface RamInfo {
  readonly transferred: number;
  readonly remaining: number;
  readonly total: number;
  readonly duplicate: number;
  readonly normal: number;
  readonly 'normal-bytes': number;
  readonly 'dirty-pages-rate': number;
  readonly mbps: number;
  readonly 'dirty-sync-count': number;
  readonly 'postcopy-requests': number;
  readonly 'page-size': number;
  /** On the page channels; part of `transferred`. */
  readonly 'multifd-bytes': number;
  /** Nothing is sent without copying, so nothing misses it. */
  readonly 'dirty-sync-missed-zero-copy': number;
  readonly 'pages-per-second': number;
  readonly 'precopy-bytes': number;
  readonly 'downtime-bytes': number;
  readonly 'postcopy-bytes': number;
  readonly 'x-requests-repeated': number;
  readonly 'x-requests-impossible': number;
  /** Neighbours of requested pages, sent without having been asked for; part of `normal`. */
  readonly 'x-prefetched-pages': number;
}

type Phase = 'precopy' | 'downtime' | 'postcopy';

/** The counts and times of one outgoing migration. */
export class SourceStatistics {
  readonly pagesTotal: number;
  /** Of its time, what the guest loses to auto-converge; 0 while it is not throttled. */
  throttlePercentage = 0;
  readonly #threads: SourceThreads;
  readonly #pageBytes: number;
  readonly #startedMillis = performance.now();
  #endedMillis: number | undefined;
  #setupMillis: number | undefined;
  #downtime: DowntimeClock | undefined;
  #downtimeMillis: number | undefined;
  readonly #expectedDowntime: ExpectedDowntime;
  #periodBytes = 0;
  #syncedMillis = performance.now();
  #dirtyRate = 0;
  #windowBytes = 0;
  #windowMillis = 0;
  #bytesPerMilli = 0;
  /** Bytes of pages in each byte that was sent; above 1 where they are compressed. */
  #pageBytesPerByte = 1;
  #windowStart: { readonly pages: number; readonly bytes: number } = { pages: 0, bytes: 0 };
  #phase: Phase = 'precopy';
  #phaseStartBytes = 0;
  readonly #phaseBytes: Record<Phase, number> = { precopy: 0, downtime: 0, postcopy: 0 };

  /** @param limitMillis the downtime-limit. */
  constructor(threads: SourceThreads, limitMillis: number) {
    this.#expectedDowntime = new ExpectedDowntime(limitMillis);
    this.#threads = threads;
    this.pagesTotal = threads.blockPages.reduce((sum, pages) => sum + pages, 0);
    this.#pageBytes = threads.blocks[0]?.pageBytes ?? 4096;
  }

  setUp(): void {
    this.#setupMillis = performance.now() - this.#startedMillis;
  }

  /** From here on writes are noted. */
  tracked(): void {
    this.#syncedMillis = performance.now();
  }

  /**
   * @param dirtiedPages written since the sync before.
   * @param dirtyPages all that is to be sent; left out where nobody has the time to count.
   */
  synced(dirtiedPages: number, dirtyPages?: number): void {
    const now = performance.now();
    const seconds = (now - this.#syncedMillis) / 1000;
    if (seconds > 0) this.#dirtyRate = Math.round(dirtiedPages / seconds);
    this.#syncedMillis = now;
    if (dirtyPages !== undefined) this.#expectedDowntime.synced(this.bytesOf(dirtyPages));
  }

  /** Another look at what a switchover would cost; after each transfer and each sync. */
  estimate(parameters: Parameters): void {
    this.#expectedDowntime.estimate({
      bytes: this.#periodBytes,
      bytesPerMilli: this.switchoverBytesPerMilli(parameters),
      dirtyRate: this.#dirtyRate,
    });
  }

  transferred(result: TransferResult): void {
    this.#periodBytes = result.bytes;
    this.#windowBytes += result.bytes;
    this.#windowMillis += result.millis;
    this.#bytesPerMilli = this.#windowBytes / Math.max(this.#windowMillis, 0.001);
    this.#measureCompression();
    if (this.#windowMillis < WINDOW_MILLIS) return;
    this.#windowBytes = 0;
    this.#windowMillis = 0;
    this.#windowStart = this.#sentPages();
  }

  /** The measured bandwidth, bytes per millisecond. */
  get bytesPerMilli(): number {
    return this.#bytesPerMilli;
  }

  /**
   * What the switchover may count on, bytes of pages per millisecond: of the bandwidth as the user says, or
   * as measured; with compression these are more than go over the link.
   */
  switchoverBytesPerMilli(parameters: Parameters): number {
    const available = parameters['avail-switchover-bandwidth'];
    const bytesPerMilli = available > 0 ? Math.floor(available / 1000) : this.#bytesPerMilli;
    return bytesPerMilli * this.#pageBytesPerByte;
  }

  /** From now on nobody runs. @returns the clock, to which the parts are told as they end. */
  stopsGuest(): DowntimeClock {
    this.#downtime = new DowntimeClock();
    this.#enter('downtime');
    return this.#downtime;
  }

  /** Also found out by a recovery, when the word of it got lost. */
  guestRunsThere(): void {
    this.#downtimeMillis ??= this.#downtime?.stop();
    this.#enter('postcopy');
  }

  ended(): void {
    this.#endedMillis = performance.now();
  }

  remainingBytes(): number {
    return this.bytesOf(this.#threads.dirtyPages());
  }

  bytesOf(pages: number): number {
    return pages * this.#pageBytes;
  }

  get setupMillis(): number | undefined {
    return this.#setupMillis;
  }

  get totalMillis(): number {
    return (this.#endedMillis ?? performance.now()) - this.#startedMillis;
  }

  get downtimeMillis(): number | undefined {
    return this.#downtimeMillis;
  }

  /** Once the downtime is over. */
  get downtimeParts(): DowntimeParts | undefined {
    return this.#downtimeMillis === undefined ? undefined : this.#downtime?.parts();
  }

  /** What a switchover would cost. */
  get expectedDowntimeMillis(): number {
    return this.#expectedDowntime.millis;
  }

  senders(): SenderLoad {
    return senderLoad(this.#threads);
  }

  ram(): RamInfo {
    const { senderCounters: sent, returnPathCounters: urgent } = this.#threads;
    const normal = sent.get('normalPages') + urgent.get('urgentPages');
    const transferred = this.transferredBytes;
    const seconds = this.totalMillis / 1000;
    const bytesPerSecond =
      this.#endedMillis === undefined ? this.#bytesPerMilli * 1000 : transferred / seconds;
    const phases = { ...this.#phaseBytes };
    phases[this.#phase] += transferred - this.#phaseStartBytes;
    return {
      transferred,
      remaining: this.remainingBytes(),
      total: this.pagesTotal * this.#pageBytes,
      duplicate: sent.get('zeroPages') + urgent.get('urgentZeroPages'),
      normal,
      'normal-bytes': normal * this.#pageBytes,
      'dirty-pages-rate': this.#endedMillis === undefined ? this.#dirtyRate : 0,
      mbps: (bytesPerSecond * 8) / 1e6,
      'dirty-sync-count': sent.get('syncs'),
      'postcopy-requests': urgent.get('requests'),
      'page-size': this.#pageBytes,
      'multifd-bytes': this.#threads.pageSenderCounters.get('bytes'),
      'dirty-sync-missed-zero-copy': 0,
      'pages-per-second': Math.round(bytesPerSecond / this.#pageBytes),
      'precopy-bytes': phases.precopy,
      'downtime-bytes': phases.downtime,
      'postcopy-bytes': phases.postcopy,
      'x-requests-repeated': urgent.get('repeatedRequests'),
      'x-requests-impossible': urgent.get('impossibleRequests'),
      'x-prefetched-pages': urgent.get('prefetchedPages'),
    };
  }

  /** With `x-checksum`. */
  checksums(): ChecksumInfo | undefined {
    const { pageChannels, blocks, lastDamaged, returnPathCounters: counters } = this.#threads;
    if (!pageChannels.checks) return undefined;
    const counts = { frames: counters.get('resends'), pages: counters.get('resentPages') };
    return checksumInfo(blocks, counts, lastDamaged);
  }

  /** All that was sent so far, over every channel. */
  get transferredBytes(): number {
    const { senderCounters, returnPathCounters } = this.#threads;
    return senderCounters.get('bytes') + returnPathCounters.get('urgentBytes');
  }

  /** Of what was sent last: what the guest writes now may be of another kind than what it held. */
  #measureCompression(): void {
    if (this.#threads.pageChannels.zlibLevel === undefined) return;
    const { pages, bytes } = this.#sentPages();
    const sentBytes = bytes - this.#windowStart.bytes;
    const pageBytes = this.bytesOf(pages - this.#windowStart.pages);
    if (pageBytes > 0 && sentBytes > 0) this.#pageBytesPerByte = Math.max(1, pageBytes / sentBytes);
  }

  /** Zero pages cost next to nothing and say nothing of the others. */
  #sentPages(): { readonly pages: number; readonly bytes: number } {
    const { senderCounters } = this.#threads;
    return { pages: senderCounters.get('normalPages'), bytes: senderCounters.get('bytes') };
  }

  #enter(phase: Phase): void {
    const bytes = this.transferredBytes;
    this.#phaseBytes[this.#phase] += bytes - this.#phaseStartBytes;
    this.#phaseStartBytes = bytes;
    this.#phase = phase;
  }
}

import {
  Advice,
  advise,
  closeDescriptor,
  copyPages,
  NativeBuffer,
  openUserfaultfd,
  readFully,
  RegisterMode,
  registerRange,
  SystemError,
  writeFully,
} from '@godwit/posix';
import {
  assertNever,
  ChannelError,
  decodeProbeWord,
  encodeProbeWord,
  PROBE_BYTES_MAX,
  PROBE_DATA_BYTES_MAX,
  PROBE_WORD_BYTES,
  type ProbeManner,
  type ProbeWord,
} from '@godwit/transport';
import { allocateRam, discardPages } from '../memory/guest-ram.ts';
import type { RamBlock } from '../memory/ram-block.ts';
import type { ProbeReceiverCommands } from './probe-api.ts';
import { serveThread } from './serve-thread.ts';

/*
 * Takes what a probe sends as a destination takes pages: into memory that has not been touched, since its
 * first touch costs more than the bytes do. The memory is given back with the connection.
 */

const MEMORY_BYTES = 32 * PROBE_DATA_BYTES_MAX;

serveThread<ProbeReceiverCommands>({
  serve({ descriptor }) {
    using sink = new ProbeSink();
    using room = new NativeBuffer(PROBE_WORD_BYTES);
    const report = new Report();
    for (;;) {
      if (readFully(descriptor, room.address, PROBE_WORD_BYTES) < PROBE_WORD_BYTES) return;
      const word = decodeProbeWord(room.bytes.subarray(0, PROBE_WORD_BYTES));
      switch (word.type) {
        case 'echo':
          writeFully(descriptor, room.address, PROBE_WORD_BYTES);
          break;
        case 'data':
          report.begin();
          report.add(word.dataBytes, sink.take(descriptor, word.manner, word.dataBytes));
          break;
        case 'end':
          encodeProbeWord(report.take(), room.bytes.subarray(0, PROBE_WORD_BYTES));
          writeFully(descriptor, room.address, PROBE_WORD_BYTES);
          break;
        case 'report':
          throw new ChannelError('ERR_PROTOCOL', 'a report is for the destination to make');
        default:
          assertNever(word);
      }
    }
  },
});

class Report {
  #total = 0;
  #bytes = 0;
  #startedMillis: number | undefined;
  #manner: ProbeManner | undefined;

  begin(): void {
    this.#startedMillis ??= performance.now();
  }

  /** @throws {ChannelError} `ERR_PROTOCOL`: more than a probe may send. */
  add(byteLength: number, manner: ProbeManner): void {
    this.#bytes += byteLength;
    this.#total += byteLength;
    if (this.#total > PROBE_BYTES_MAX) {
      throw new ChannelError('ERR_PROTOCOL', 'a probe sends more than it may');
    }
    this.#manner = this.#manner === undefined || this.#manner === manner ? manner : 'read';
  }

  /** What has come since the last time. */
  take(): ProbeWord {
    const started = this.#startedMillis ?? performance.now();
    const micros = Math.round((performance.now() - started) * 1000);
    const { manner, bytes } = { manner: this.#manner ?? 'read', bytes: this.#bytes };
    this.#bytes = 0;
    this.#startedMillis = undefined;
    this.#manner = undefined;
    return { type: 'report', manner, bytes, micros };
  }
}

/** Memory as a guest's, used over and over, thrown away whenever it is full. */
class ProbeSink implements Disposable {
  readonly #ram = allocateRam([{ id: 'probe', byteLength: MEMORY_BYTES }]);
  readonly #block = this.#ram.blocks[0] as RamBlock; // what it was asked for
  readonly #staging = new NativeBuffer(PROBE_DATA_BYTES_MAX);
  #userfaultfd: number | undefined;
  #isWatched = false;
  #used = 0;

  /** @returns how it was taken: a host that refuses userfaultfd places nothing. */
  take(descriptor: number, manner: ProbeManner, byteLength: number): ProbeManner {
    if (manner === 'place' && !this.#isWatched) this.#watch();
    if (this.#used + byteLength > MEMORY_BYTES) this.#startAgain();
    const address = this.#block.address + this.#used;
    this.#used += byteLength;
    // Watched memory is never read into: this thread would wait for its own page.
    const target = this.#isWatched ? this.#staging.address : address;
    if (readFully(descriptor, target, byteLength) < byteLength) {
      throw new ChannelError('ERR_CLOSED', 'a probe ended in the midst of its data');
    }
    if (this.#userfaultfd === undefined) return 'read';
    copyPages(this.#userfaultfd, address, target, byteLength);
    return 'place';
  }

  [Symbol.dispose](): void {
    if (this.#userfaultfd !== undefined) closeDescriptor(this.#userfaultfd);
    this.#ram[Symbol.dispose]();
    this.#staging[Symbol.dispose]();
  }

  #startAgain(): void {
    this.#used = 0;
    discardPages(this.#block, 0, MEMORY_BYTES / this.#block.pageBytes);
  }

  /** As for postcopy: small pages, all of them missing. */
  #watch(): void {
    this.#isWatched = true;
    this.#startAgain();
    try {
      const userfaultfd = openUserfaultfd({ features: 0, userModeOnly: true });
      this.#userfaultfd = userfaultfd;
      advise(this.#block.address, MEMORY_BYTES, Advice.NOHUGEPAGE);
      registerRange(userfaultfd, this.#block.address, MEMORY_BYTES, RegisterMode.MISSING);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      if (this.#userfaultfd !== undefined) closeDescriptor(this.#userfaultfd);
      this.#userfaultfd = undefined;
    }
  }
}

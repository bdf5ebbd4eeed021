import assert from 'node:assert/strict';
import { NativeBuffer, pageBytes, readFully, writeFully } from '@godwit/posix';
import {
  ChannelError,
  decodeProbeWord,
  encodeProbeWord,
  PROBE_DATA_BYTES_MAX,
  PROBE_WORD_BYTES,
  type ProbeManner,
  type ProbeWord,
} from '@godwit/transport';
import type { LinkSample, ProbeSenderCommands } from './probe-api.ts';
import { serveThread } from './serve-thread.ts';

/*
 * Measures a link as a migration uses it: blocking writes of up to 1 MiB, out of memory that no cache holds.
 */

const ECHOES = 16;
/** More than a processor's caches. */
const SLOTS = 32;
/** A word in front of its data, which is page-aligned as a guest's is. */
const SLOT_BYTES = PROBE_DATA_BYTES_MAX + pageBytes;
/** The first write; they grow while the link takes them quickly, so that a slow one is not given too much. */
const FIRST_DATA_BYTES = 64 * 1024;
const QUICK_MILLIS = 5;
/** Part of the time, first: a TCP connection begins slowly. */
const WARM_UP = 1 / 4;
/** Below it no destination is kept busy by placing: the link is what counts. */
const PLACING_COUNTS_FROM = 150e6;

interface Report {
  readonly manner: ProbeManner;
  readonly bytes: number;
  readonly micros: number;
}

serveThread<ProbeSenderCommands>({
  measure({ descriptor, millis }) {
    using prober = new Prober(descriptor);
    return prober.measure(millis);
  },
});

class Prober implements Disposable {
  readonly #descriptor: number;
  readonly #memory = new NativeBuffer(SLOTS * SLOT_BYTES);
  #slot = 0;
  #dataBytes = FIRST_DATA_BYTES;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }

  measure(millis: number): LinkSample {
    const roundTripMillis = this.#roundTrip();
    if (millis === 0) {
      const nothing = { bytes: 0, millis: 0, bandwidth: 0, placedBandwidth: undefined };
      return { ...nothing, roundTripMillis };
    }
    this.#memory.bytes.fill(1); // pages that exist: untouched ones are all the same one
    const warmUp = this.#push('read', millis * WARM_UP);
    // What waits in the buffers of a slow link can take longer than all that was meant to be sent.
    const report = warmUp.micros >= millis * 1000 ? warmUp : this.#push('read', millis);
    const bandwidth = rateOf(report);
    const sample = { bytes: report.bytes, millis: report.micros / 1000, bandwidth };
    return { ...sample, placedBandwidth: this.#placed(bandwidth, millis), roundTripMillis };
  }

  #roundTrip(): number {
    let shortest = Infinity;
    for (let echo = 0; echo < ECHOES; echo += 1) {
      const started = performance.now();
      this.#say({ type: 'echo' });
      const { type } = this.#hear();
      shortest = Math.min(shortest, performance.now() - started);
      if (type !== 'echo') throw unexpected(type);
    }
    return shortest;
  }

  #placed(bandwidth: number, millis: number): number | undefined {
    if (bandwidth < PLACING_COUNTS_FROM) return bandwidth;
    const report = this.#push('place', millis);
    return report.manner === 'place' ? rateOf(report) : undefined;
  }

  #push(manner: ProbeManner, millis: number): Report {
    const started = performance.now();
    let before = started;
    while (before - started < millis) {
      this.#sendData(manner);
      const now = performance.now();
      if (now - before < QUICK_MILLIS) {
        this.#dataBytes = Math.min(PROBE_DATA_BYTES_MAX, this.#dataBytes * 2);
      }
      before = now;
    }
    this.#say({ type: 'end' });
    const report = this.#hear();
    if (report.type !== 'report') throw unexpected(report.type);
    return report;
  }

  #sendData(manner: ProbeManner): void {
    const data = this.#slot * SLOT_BYTES + pageBytes;
    this.#slot = (this.#slot + 1) % SLOTS;
    const start = data - PROBE_WORD_BYTES;
    const dataBytes = this.#dataBytes;
    encodeProbeWord({ type: 'data', manner, dataBytes }, this.#memory.bytes.subarray(start, data));
    this.#write(this.#memory.address + start, PROBE_WORD_BYTES + dataBytes);
  }

  /** In the room before the first slot's word. */
  #say(word: ProbeWord): void {
    encodeProbeWord(word, this.#memory.bytes.subarray(0, PROBE_WORD_BYTES));
    this.#write(this.#memory.address, PROBE_WORD_BYTES);
  }

  #hear(): ProbeWord {
    const count = guarded(() =>
      readFully(this.#descriptor, this.#memory.address, PROBE_WORD_BYTES),
    );
    if (count < PROBE_WORD_BYTES) {
      throw new ChannelError('ERR_CLOSED', 'the destination has ended the probe');
    }
    return decodeProbeWord(this.#memory.bytes.subarray(0, PROBE_WORD_BYTES));
  }

  #write(address: number, byteLength: number): void {
    assert.ok(address + byteLength <= this.#memory.address + this.#memory.byteLength);
    guarded(() => writeFully(this.#descriptor, address, byteLength));
  }
}

function guarded<T>(transfer: () => T): T {
  try {
    return transfer();
  } catch (cause) {
    const message = `the probe was ended: ${(cause as Error).message}`;
    throw new ChannelError('ERR_CLOSED', message, { cause });
  }
}

function rateOf({ bytes, micros }: Report): number {
  return micros === 0 ? 0 : Math.round((bytes / micros) * 1e6);
}

function unexpected(type: string): ChannelError {
  return new ChannelError('ERR_PROTOCOL', `the destination answers a probe with '${type}'`);
}

import type { Direction } from '@godwit/chaos';
import type { Message } from './wire-cutter.ts';

const PER_NAME_MAX = 3;
const BYTES_MAX = 512 * 1024;

interface Recorded {
  readonly direction: Direction;
  readonly message: Message;
}

/** Messages of real sessions, a few of each name and direction. */
export class Corpus {
  readonly #recorded: Recorded[] = [];
  readonly #counts = new Map<string, number>();

  record(direction: Direction, message: Message): void {
    const key = `${direction} ${message.name}`;
    const count = this.#counts.get(key) ?? 0;
    if (count >= PER_NAME_MAX || message.bytes.byteLength > BYTES_MAX) return;
    this.#counts.set(key, count + 1);
    this.#recorded.push({ direction, message: { ...message, bytes: Buffer.from(message.bytes) } });
  }

  /** Any frame of either direction. */
  frame(pick: number): Buffer | undefined {
    const frames = this.#recorded.filter(({ message }) => message.isFrame);
    return frames[pick % frames.length]?.message.bytes;
  }

  hello(pick: number): Buffer | undefined {
    const hellos = this.#recorded.filter(({ message }) => message.name === 'hello');
    return hellos[pick % hellos.length]?.message.bytes;
  }
}

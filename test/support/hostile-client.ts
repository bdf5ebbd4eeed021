import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { within } from './wait.ts';

/** A client of QMP that keeps to nothing: it writes what it likes, and reads when it likes. */
export class HostileClient implements AsyncDisposable {
  readonly socket: Socket;
  #text = '';
  readonly #decoder = new TextDecoder();

  static async connect(socketPath: string): Promise<HostileClient> {
    const socket = connect({ path: socketPath });
    await within(once(socket, 'connect'), 'the connection to QMP');
    return new HostileClient(socket);
  }

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => undefined); // it is disconnected, or leaves: both are what tests are about
    socket.on('data', (chunk: Buffer) => {
      this.#text += this.#decoder.decode(chunk, { stream: true });
    });
  }

  async negotiate(): Promise<void> {
    await this.write('{"execute":"qmp_capabilities","arguments":{"enable":["oob"]}}\n');
    await this.lines(2);
  }

  /** Waits until the kernel has taken it; at once when nobody is there any more. */
  async write(data: string | Uint8Array): Promise<void> {
    if (this.socket.closed || this.socket.write(data)) return;
    const taken = new AbortController();
    const { signal } = taken;
    const ends = ['drain', 'close'].map((name) => once(this.socket, name, { signal }));
    // An error is the end of the connection as well: 'close' follows.
    await within(
      Promise.race(ends).catch(() => undefined),
      'room to write',
      30_000,
    );
    taken.abort();
    await Promise.allSettled(ends);
  }

  /** The next lines, as they came. */
  async lines(count: number): Promise<string[]> {
    const lines: string[] = [];
    while (lines.length < count) {
      const end = this.#text.indexOf('\n');
      if (end >= 0) {
        const all = this.#text.split('\n');
        const taken = all.slice(0, Math.min(count - lines.length, all.length - 1));
        lines.push(...taken);
        this.#text = all.slice(taken.length).join('\n');
      } else {
        await this.#more();
      }
    }
    return lines;
  }

  /** @returns when the server has let it go; what it had still to say is thrown away. */
  async disconnected(): Promise<void> {
    this.socket.resume();
    if (!this.socket.closed) await within(once(this.socket, 'close'), 'the end of the connection');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
    await this.disconnected();
  }

  async #more(): Promise<void> {
    if (this.socket.closed) throw new Error('the server has closed the connection');
    const seen = new AbortController();
    const ends = ['data', 'close'].map((name) => once(this.socket, name, { signal: seen.signal }));
    await within(
      Promise.race(ends).catch(() => undefined),
      'a reply',
      30_000,
    );
    seen.abort();
    await Promise.allSettled(ends);
  }
}

/** @returns bytes of memory that a process holds, now or at most so far. */
export async function residentBytes(pid: number, which: 'VmRSS' | 'VmHWM'): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const [, kib] = new RegExp(`^${which}:\\s+(\\d+) kB$`, 'm').exec(status) ?? [];
  if (kib === undefined) throw new Error(`/proc/${pid}/status tells no ${which}`);
  return Number(kib) * 1024;
}

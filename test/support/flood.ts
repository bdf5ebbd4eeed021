import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connectOptions } from './addresses.ts';
import { reset } from '@godwit/chaos';
import { within } from './wait.ts';

/** So many of a flood have connected and not been thrown out yet. */
const ABREAST = 64;

/** Connections that say nothing at all, and stay for as long as they may. */
export class IdleCrowd implements Disposable {
  readonly #sockets: Socket[] = [];

  static async dial(uri: string, count: number): Promise<IdleCrowd> {
    const crowd = new IdleCrowd();
    const some = async (): Promise<void> => {
      while (crowd.#sockets.length < count) {
        await Promise.all(Array.from({ length: 50 }, () => crowd.#dial(uri)));
      }
    };
    await within(some(), 'a crowd');
    return crowd;
  }

  async #dial(uri: string): Promise<void> {
    const socket = connect(connectOptions(uri));
    socket.on('error', () => undefined); // to be thrown out is what they expect
    socket.resume();
    try {
      await once(socket, 'connect');
      this.#sockets.push(socket);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error; // a queue is full, for a moment
    }
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** Connections without end, as fast as they are taken: each says something that is no hello, and the next follows. */
export class Flood implements AsyncDisposable {
  /** How many have connected. */
  connections = 0;
  readonly #uri: string;
  readonly #streams: Promise<void>[];
  #isOver = false;

  constructor(uri: string) {
    this.#uri = uri;
    this.#streams = Array.from({ length: ABREAST }, () => this.#stream());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#streams);
  }

  async #stream(): Promise<void> {
    while (!this.#isOver) {
      const socket = connect(connectOptions(this.#uri));
      socket.on('error', () => undefined); // to be thrown out is what they expect
      socket.resume(); // who reads nothing would never see the end
      const closed = once(socket, 'close');
      const connected = await Promise.race([once(socket, 'connect'), closed]).catch(
        () => undefined,
      );
      if (connected !== undefined) {
        this.connections += 1;
        // Half of them leave at once, the others are thrown out for what they say.
        if (this.connections % 2 === 0) reset(socket);
        else socket.write(randomBytes(96));
      }
      await closed.catch(() => undefined);
    }
  }
}

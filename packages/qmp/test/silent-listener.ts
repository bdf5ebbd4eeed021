import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';

/** Somebody who accepts every connection and never says a word. */
export class SilentListener implements AsyncDisposable {
  readonly uri: string;
  readonly #server: Server;
  readonly #sockets: Socket[] = [];

  static async open(path: string): Promise<SilentListener> {
    const server = createServer();
    server.listen({ path });
    await once(server, 'listening');
    return new SilentListener(server, `unix:${path}`);
  }

  private constructor(server: Server, uri: string) {
    this.uri = uri;
    this.#server = server;
    server.on('connection', (socket) => {
      socket.on('error', () => undefined); // whoever dialled may leave as it likes
      this.#sockets.push(socket.resume());
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, 'close');
  }
}

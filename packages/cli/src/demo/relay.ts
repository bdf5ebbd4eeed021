import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

import { type Address, formatAddress } from '@godwit/transport';

/**
 * A wire that can be cut: whoever connects here is joined to the destination, each connection by
 * one of its own. What is under way when the wire is cut is lost.
 */
export class Relay implements AsyncDisposable {
  readonly #server: Server;
  readonly #address: Address;
  readonly #target: Address;
  readonly #sockets = new Set<Socket>();

  /**
   * @param address where to listen; a tcp port of 0 is any.
   * @throws {Error} it is in use.
   */
  static async open(address: Address, target: Address): Promise<Relay> {
    const relay = new Relay(address, target);
    relay.#server.listen(
      address.type === 'unix' ? address : { host: address.host, port: address.port },
    );
    await once(relay.#server, 'listening');
    return relay;
  }

  private constructor(address: Address, target: Address) {
    this.#address = address;
    this.#target = target;
    // A half that ends before the other is passed on as such.
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.#join(socket);
    });
  }

  /** Where it listens, as `migrate` takes it. */
  get uri(): string {
    if (this.#address.type === 'unix') return formatAddress(this.#address);
    // A tcp server that listens has such an address.
    const { port } = this.#server.address() as AddressInfo;
    return formatAddress({ ...this.#address, port });
  }

  /** Breaks every connection at once, and takes no more. */
  cut(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.#server.listening ? once(this.#server, 'close') : undefined;
    this.cut();
    await closed;
  }

  #join(near: Socket): void {
    const target =
      this.#target.type === 'unix'
        ? { path: this.#target.path }
        : { host: this.#target.host, port: this.#target.port, noDelay: true };
    const far = connect({ ...target, allowHalfOpen: true });
    this.#carry(near, far);
    this.#carry(far, near);
  }

  #carry(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.pipe(to);
    from.on('error', () => undefined); // 'close' follows, and says all that matters here
    from.once('close', () => {
      this.#sockets.delete(from);
      to.destroySoon();
    });
  }
}

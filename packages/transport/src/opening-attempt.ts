import type { Socket } from 'node:net';
import type { ChannelError } from './errors.ts';
import { OpeningSocket } from './opening-socket.ts';
import type { Inside, TlsPump } from './tls/pump.ts';

/**
 * A connection from its first byte to its opened channel: perhaps a TLS handshake, then the opening.
 * It can be ended at any moment; whoever waits for a step of it is told why.
 */
export class OpeningAttempt {
  #stage: { destroy(reason: ChannelError): void };
  #destroyed: ChannelError | undefined;
  pump: TlsPump | undefined;

  constructor(socket: Socket) {
    this.#stage = { destroy: () => socket.destroy() };
  }

  /** @throws {ChannelError} as `TlsPump.inside`. */
  async secure(pump: TlsPump): Promise<Inside> {
    this.pump = pump;
    this.#enter(pump);
    return await pump.inside();
  }

  /** What follows speaks the opening. */
  open(socket: Socket): OpeningSocket {
    const opening = new OpeningSocket(socket);
    const { pump } = this;
    this.#enter({
      destroy(reason) {
        opening.destroy(reason);
        pump?.destroy(reason);
      },
    });
    return opening;
  }

  /** Says the last words and ends by itself: over TLS they are still to be encrypted when this returns. */
  end(opening: OpeningSocket, lastWords: Uint8Array): void {
    opening.end(lastWords);
    this.#enter({ destroy: () => undefined });
  }

  destroy(reason: ChannelError): void {
    this.#destroyed ??= reason;
    this.#stage.destroy(reason);
  }

  #enter(stage: { destroy(reason: ChannelError): void }): void {
    this.#stage = stage;
    if (this.#destroyed !== undefined) stage.destroy(this.#destroyed);
  }
}

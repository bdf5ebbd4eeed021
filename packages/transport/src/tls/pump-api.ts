import type { TlsCredentials } from './credentials.ts';

/** What a pump is begun with. The descriptors are its own once it has said `begun`. */
export interface PumpData {
  /** A connected socket that TLS goes over. */
  readonly wire: number;
  /** One end of a socket pair: what is sent and received, in the clear. */
  readonly inner: number;
  readonly credentials: TlsCredentials;
  /** Of the server; a client checks its certificate against it. */
  readonly hostname: string;
  /** What was received already, to see whether the other side speaks TLS. */
  readonly early?: Uint8Array;
}

export type PumpMessage =
  /** First of all: the descriptors are the thread's from here on. One that never says so has died before. */
  | { readonly type: 'begun' }
  /**
   * Once, when the handshake is done: who the other side has proved to be, by distinguished name or
   * user name, if it had to.
   */
  | { readonly type: 'secured'; readonly identity?: string }
  /** Why the connection ended, unless in good order; before `secured`, why there is none. */
  | { readonly type: 'broken'; readonly reason: string };

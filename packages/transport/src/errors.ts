/** What can go wrong between two ends; transport knows of no guest, so none of this says who holds it. */
export const channelErrorCodes = {
  ERR_ADDRESS: 'the address is not one of tcp:HOST:PORT, unix:PATH',
  ERR_LISTEN: 'the address cannot be listened on',
  ERR_CONNECT: 'nobody accepted the connection',
  ERR_TIMEOUT: 'the other side did not answer in time',
  ERR_ABORTED: 'given up on request',
  ERR_CLOSED: 'the connection ended',
  ERR_REFUSED: 'the other side refused the connection by name',
  ERR_STRANGER: 'the other side is not the peer of this session',
  ERR_CREDENTIALS: 'what this side would prove itself with cannot be used',
  ERR_TLS: 'the TLS handshake failed: one side does not accept the other, or does not speak TLS',
  ERR_PROTOCOL: 'the other side sent something the protocol does not allow here',
  ERR_CHECKSUM: 'what arrived is not what was sent',
} as const;

export type ChannelErrorCode = keyof typeof channelErrorCodes;

/** Callers match on `code`; the message is for people and names the address or the offence. */
export class ChannelError extends Error {
  override readonly name = 'ChannelError';
  readonly code: ChannelErrorCode;

  constructor(code: ChannelErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** In the default of a switch over a union: a new member does not compile until it is handled. */
export function assertNever(value: never): never {
  throw new Error(`not handled: ${JSON.stringify(value)}`);
}

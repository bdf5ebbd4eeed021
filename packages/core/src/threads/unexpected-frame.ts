import { ChannelError, type FrameHeader } from '@godwit/transport';

/** @param where it came: the role of the channel, or what it is used for. */
export function unexpectedFrame({ type }: FrameHeader, where: string): ChannelError {
  const what = `frame type 0x${type.toString(16)}`;
  return new ChannelError('ERR_PROTOCOL', `${what} does not belong here (${where})`);
}

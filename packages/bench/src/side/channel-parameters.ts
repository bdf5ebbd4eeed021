/** What both sides are told of the number of page streams; nothing where one is all there is. */
export function channelParameters(channels: number): Readonly<Record<string, number>> {
  return channels > 1 ? { 'multifd-channels': channels } : {};
}

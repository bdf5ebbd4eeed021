/** What both sides are told of the number of page streams; nothing where one is all there is. */
export function channelParameters(channels: number): Readonly<Record<string, number>> {
  return channels > 1 ? { 'multifd-channels': channels } : {};
}

/** What the source is told of compression. */
export function compressionParameters(
  level: number | undefined,
): Readonly<Record<string, unknown>> {
  return level === undefined ? {} : { 'multifd-compression': 'zlib', 'multifd-zlib-level': level };
}

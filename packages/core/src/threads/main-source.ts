import { type ByteSource, channelSource, pollingSource } from '@godwit/transport';
import { Placing, type PlacingGate } from './placing-gate.ts';

/**
 * Reads the main channel of a destination. While requests go the other way on the same socket, nothing but
 * pages shall wake its reader.
 */
export function mainSource(descriptor: number, gate: PlacingGate): ByteSource {
  const blocking = channelSource(descriptor);
  const polling = pollingSource(descriptor);
  return (address, byteLength) =>
    gate.mode === Placing.BY_FAULT ? polling(address, byteLength) : blocking(address, byteLength);
}

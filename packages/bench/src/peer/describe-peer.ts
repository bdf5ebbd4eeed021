import type { PeerDescription } from './peer-runs.ts';

/** With what was compared, or why with nothing; a line for a terminal. */
export function describePeer(peer: PeerDescription): string {
  if ('missing' in peer) return peer.missing;
  const { command, version, accelerator } = peer;
  return `beside QEMU ${version} with ${accelerator}: ${command}`;
}

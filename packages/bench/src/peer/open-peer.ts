import type { MigrateBenchOptions } from '../migrate/options.ts';
import { findQemu } from './find-qemu.ts';
import { findLauncher } from './launcher.ts';
import type { PeerDescription, PeerRun } from './peer-runs.ts';
import { type PeerStage, QemuPeer } from './qemu-peer.ts';
import { peerVariants } from './variants.ts';

/** Another engine, ready to be measured; or the reason why there is none. */
export interface Peer extends AsyncDisposable {
  readonly description: PeerDescription;
  /** A run of each variant. @param forwards in turn, so that none has the better moment always. */
  measure(forwards: boolean): Promise<readonly PeerRun[]>;
}

/** It is the other engine that has failed, or took too long: ours can be measured without it. */
export class PeerError extends Error {
  override readonly name = 'PeerError';
}

/**
 * @returns undefined unless a peer was asked for.
 * @throws {RangeError} the one that was named cannot be started.
 * @throws {PeerError} it ended, or took too long; so does `measure`.
 */
export async function openPeer(
  stage: Omit<PeerStage, 'launcher' | 'command' | 'version'>,
): Promise<Peer | undefined> {
  const { peer } = stage.options;
  if (peer === undefined) return undefined;
  const found = await findQemu(peer.command);
  if (!found.found) return missingPeer(found.reason);
  const { command, version } = found;
  const launcher = await findLauncher();
  const qemu = await asPeerError(QemuPeer.start({ ...stage, launcher, command, version }));
  return {
    description: qemu.description,
    measure: async (forwards) => await asPeerError(measureVariants(qemu, stage.options, forwards)),
    [Symbol.asyncDispose]: async () => await qemu[Symbol.asyncDispose](),
  };
}

function missingPeer(reason: string): Peer {
  return {
    description: { type: 'qemu', missing: reason },
    measure: async () => await Promise.resolve([]),
    [Symbol.asyncDispose]: async () => await Promise.resolve(),
  };
}

async function measureVariants(
  qemu: QemuPeer,
  options: MigrateBenchOptions,
  forwards: boolean,
): Promise<readonly PeerRun[]> {
  const variants = peerVariants(options);
  const runs: PeerRun[] = [];
  for (const variant of forwards ? variants : variants.toReversed()) {
    runs.push(await qemu.measure(variant));
  }
  return forwards ? runs : runs.toReversed();
}

async function asPeerError<Result>(result: Promise<Result>): Promise<Result> {
  return await result.catch((error: unknown) => {
    throw new PeerError((error as Error).message, { cause: error });
  });
}

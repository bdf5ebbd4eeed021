import type { JsonObject } from '@godwit/qmp';

import type { MigrateBenchOptions } from '../migrate/options.ts';
import { initialPostcopyBandwidth } from '../migrate/postcopy-bandwidth.ts';
import type { QemuProcess } from './qemu-process.ts';
import type { PeerVariant } from './variants.ts';

/** Bytes/s that no memory reaches: unlimited, for all versions. */
const UNLIMITED_BANDWIDTH = 2 ** 40;
/** In the moments in which a postcopy is still a precopy: next to nothing may be sent then. */
const HELD_BANDWIDTH = 4096;

/** Before the destination listens. */
export async function configureDestination(qemu: QemuProcess, variant: PeerVariant): Promise<void> {
  await qemu.execute('migrate-set-capabilities', sharedCapabilities(variant));
  await qemu.execute('migrate-set-parameters', channelParameters(variant));
}

/** Before each migration: the source is the same for all of them. */
export async function configureSource(
  qemu: QemuProcess,
  variant: PeerVariant,
  options: MigrateBenchOptions,
): Promise<void> {
  await qemu.execute('migrate-set-capabilities', sharedCapabilities(variant));
  // So that the source is completed once the destination has said that it is.
  await qemu.execute('migrate-set-capabilities', capabilities({ 'return-path': true }));
  await qemu.execute('migrate-set-parameters', {
    ...channelParameters(variant),
    'max-bandwidth': variant.postcopy ? HELD_BANDWIDTH : UNLIMITED_BANDWIDTH,
    'max-postcopy-bandwidth': initialPostcopyBandwidth(options),
    'downtime-limit': options.downtimeLimitMillis,
  });
}

function sharedCapabilities({ postcopy, preempt, multifdChannels }: PeerVariant): JsonObject {
  return capabilities({
    events: true,
    'postcopy-ram': postcopy,
    'postcopy-preempt': preempt,
    multifd: multifdChannels > 0,
  });
}

function channelParameters({ multifdChannels }: PeerVariant): JsonObject {
  return multifdChannels > 0 ? { 'multifd-channels': multifdChannels } : {};
}

function capabilities(states: Record<string, boolean>): JsonObject {
  const list = Object.entries(states).map(([capability, state]) => ({ capability, state }));
  return { capabilities: list };
}

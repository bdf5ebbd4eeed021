import { MigrationError } from './errors.ts';

/** What we implement, with our defaults; QEMU's names (qapi/migration.json, MigrationCapability). */
export const capabilityDefaults = {
  events: false,
  'postcopy-ram': false,
  /** The urgent channel; QEMU's default is off. */
  'postcopy-preempt': true,
  'postcopy-blocktime': false,
  'return-path': true,
  'validate-uuid': false,
  /** Page channels beside the main channel; as many as `multifd-channels` says. */
  multifd: false,
  /** The guest's vCPUs are slowed down until the passes converge. */
  'auto-converge': false,
  /** The guest stands still and waits for `migrate-continue` before its device state is saved. */
  'pause-before-switchover': false,
  /** The guest is not stopped before the destination says that it is ready. */
  'switchover-ack': false,
  /** Ours: postcopy begins by itself when passes stop shrinking; needs `postcopy-ram`. */
  'x-auto-postcopy': false,
  /** Ours: after a lost link new ones are tried without being asked for. */
  'x-auto-recover': false,
  /** Ours: each frame carries a checksum; what was damaged on its way is asked for again. */
  'x-checksum': false,
  /** Ours: a digest of all RAM is compared, in precopy before the guest runs there. */
  'x-ram-digest': false,
} as const satisfies Record<string, boolean>;

export type Capability = keyof typeof capabilityDefaults;
export type Capabilities = Readonly<Record<Capability, boolean>>;

/** Those that both sides must agree on: the source sends them, the destination adopts or refuses. */
export const sharedCapabilities = [
  'postcopy-ram',
  'postcopy-preempt',
  'validate-uuid',
  'multifd',
  'switchover-ack',
  'x-checksum',
  'x-ram-digest',
] as const satisfies readonly Capability[];

/** QEMU's others: known by name, refused when switched on, silent when left off. */
export const unsupportedCapabilities = [
  'xbzrle',
  'rdma-pin-all',
  'zero-blocks',
  'x-colo',
  'release-ram',
  'dirty-bitmaps',
  'late-block-activate',
  'x-ignore-shared',
  'background-snapshot',
  'zero-copy-send',
  'dirty-limit',
  'mapped-ram',
] as const;

/** Those that are on. */
export function capabilityNames(capabilities: Capabilities): Capability[] {
  const names = Object.keys(capabilityDefaults) as Capability[]; // of the record above
  return names.filter((name) => capabilities[name]);
}

export function isCapability(name: string): name is Capability {
  return Object.hasOwn(capabilityDefaults, name);
}

/**
 * @returns `current` with `changes` applied: all of them or none.
 * @throws {MigrationError} `ERR_ARGUMENT` naming the capability that is unknown, not implemented,
 *   cannot be switched off, or lacks one that it needs.
 */
export function changeCapabilities(
  current: Capabilities,
  changes: readonly { readonly capability: string; readonly state: boolean }[],
): Capabilities {
  const next: Record<Capability, boolean> = { ...current };
  for (const { capability, state } of changes) {
    if (isCapability(capability)) {
      if (capability === 'return-path' && !state) {
        throw refuse(
          "capability 'return-path' cannot be switched off: every migration proves its end",
        );
      }
      next[capability] = state;
    } else if (!(unsupportedCapabilities as readonly string[]).includes(capability)) {
      throw refuse(`unknown capability '${capability}'`);
    } else if (state) {
      throw refuse(`capability '${capability}' is not supported`);
    }
  }
  if (next['x-auto-postcopy'] && !next['postcopy-ram']) {
    throw refuse("capability 'x-auto-postcopy' requires capability 'postcopy-ram'");
  }
  return next;
}

function refuse(message: string): MigrationError {
  return new MigrationError('ERR_ARGUMENT', message);
}

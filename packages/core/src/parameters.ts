import { MigrationError } from './errors.ts';

interface ParameterRule {
  readonly initial: number;
  readonly min: number;
  readonly max: number;
  /** As it is called in an error. */
  readonly unit: string;
}

/** Each is a thread on either side. */
export const PAGE_CHANNELS_MAX = 32;

const SIZE_MAX = Number.MAX_SAFE_INTEGER;

/** What we implement, with QEMU's defaults and ranges; all may be changed at any time. */
export const parameterRules = {
  /** Bytes per second while the guest runs at the source; 0 is unlimited. */
  'max-bandwidth': { initial: 134_217_728, min: 0, max: SIZE_MAX, unit: 'bytes per second' },
  /** Bytes per second in postcopy; requested pages are exempt; 0 is unlimited. */
  'max-postcopy-bandwidth': { initial: 0, min: 0, max: SIZE_MAX, unit: 'bytes per second' },
  /** What the switchover may count on, in bytes per second; 0: what was measured. */
  'avail-switchover-bandwidth': { initial: 0, min: 0, max: SIZE_MAX, unit: 'bytes per second' },
  'downtime-limit': { initial: 300, min: 0, max: 2_000_000, unit: 'milliseconds' },
  /** Connections that carry pages, with the capability `multifd`; QEMU's range ends at 255. */
  'multifd-channels': { initial: 2, min: 1, max: PAGE_CHANNELS_MAX, unit: 'channels' },
  /** Ours: for dialling, and for each step in which one side waits for the other's word. */
  'x-handshake-timeout': { initial: 10_000, min: 10, max: 600_000, unit: 'milliseconds' },
} as const satisfies Record<string, ParameterRule>;

export type Parameter = keyof typeof parameterRules;
export type Parameters = Readonly<Record<Parameter, number>>;

/** QEMU's others: known by name, refused by name. */
export const unsupportedParameters = [
  'announce-initial',
  'announce-max',
  'announce-rounds',
  'announce-step',
  'throttle-trigger-threshold',
  'cpu-throttle-initial',
  'cpu-throttle-increment',
  'cpu-throttle-tailslow',
  'max-cpu-throttle',
  'tls-creds',
  'tls-hostname',
  'tls-authz',
  'x-checkpoint-delay',
  'xbzrle-cache-size',
  'multifd-compression',
  'multifd-zlib-level',
  'multifd-zstd-level',
  'multifd-qatzip-level',
  'block-bitmap-mapping',
  'x-vcpu-dirty-limit-period',
  'vcpu-dirty-limit',
  'mode',
  'zero-page-detection',
  'direct-io',
] as const;

export const parameterDefaults: Parameters = Object.fromEntries(
  Object.entries(parameterRules).map(([name, rule]) => [name, rule.initial]),
) as Record<Parameter, number>;

export function isParameter(name: string): name is Parameter {
  return Object.hasOwn(parameterRules, name);
}

/**
 * @returns `current` with `changes` applied: all of them or none.
 * @throws {MigrationError} `ERR_ARGUMENT` naming the parameter that is unknown, not implemented, not
 *   a whole number or out of its range.
 */
export function changeParameters(
  current: Parameters,
  changes: Readonly<Record<string, unknown>>,
): Parameters {
  const next: Record<Parameter, number> = { ...current };
  for (const [name, value] of Object.entries(changes)) {
    if (!isParameter(name)) {
      const known = (unsupportedParameters as readonly string[]).includes(name);
      throw refuse(known ? `parameter '${name}' is not supported` : `unknown parameter '${name}'`);
    }
    const { min, max, unit } = parameterRules[name];
    if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max) {
      throw refuse(`parameter '${name}' expects a whole number from ${min} to ${max} (${unit})`);
    }
    next[name] = value as number;
  }
  return next;
}

function refuse(message: string): MigrationError {
  return new MigrationError('ERR_ARGUMENT', message);
}

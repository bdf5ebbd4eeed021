import { assertNever } from '@godwit/transport';
import { MigrationError } from './errors.ts';

interface NumberRule {
  readonly kind: 'number';
  readonly initial: number;
  readonly min: number;
  readonly max: number;
  /** As it is called in an error. */
  readonly unit: string;
}

interface EnumRule {
  readonly kind: 'enum';
  readonly initial: string;
  readonly values: readonly string[];
  /** QEMU's others: known by name, refused by name. */
  readonly unsupported: readonly string[];
}

type ParameterRule = NumberRule | EnumRule;

/** Each is a thread on either side. */
export const PAGE_CHANNELS_MAX = 32;

export const zeroPageDetections = ['none', 'legacy', 'multifd'] as const;
export type ZeroPageDetection = (typeof zeroPageDetections)[number];

const SIZE_MAX = Number.MAX_SAFE_INTEGER;

/** What we implement, with QEMU's defaults and ranges; all may be changed at any time. */
export const parameterRules = {
  /** Bytes per second while the guest runs at the source; 0 is unlimited. */
  'max-bandwidth': bytesPerSecond(134_217_728),
  /** Bytes per second in postcopy; requested pages are exempt; 0 is unlimited. */
  'max-postcopy-bandwidth': bytesPerSecond(0),
  /** What the switchover may count on, in bytes per second; 0: what was measured. */
  'avail-switchover-bandwidth': bytesPerSecond(0),
  'downtime-limit': millis(300, 0, 2_000_000),
  /** Connections that carry pages, with the capability `multifd`; QEMU's range ends at 255. */
  'multifd-channels': number(2, 1, PAGE_CHANNELS_MAX, 'channels'),
  /**
   * How page channels compress, and how hard zlib tries; what a migration begins with it keeps, so a change
   * is for the next one.
   */
  'multifd-compression': {
    kind: 'enum',
    initial: 'none',
    values: ['none', 'zlib'],
    unsupported: ['zstd', 'qatzip', 'qpl', 'uadk'],
  },
  'multifd-zlib-level': number(1, 0, 9, 'level'),
  /** Who looks for pages of zeros: nobody, the thread of the main channel, or whoever sends a page. */
  'zero-page-detection': {
    kind: 'enum',
    initial: 'multifd',
    values: zeroPageDetections,
    unsupported: [],
  },
  /** Ours: for dialling, and for each step in which one side waits for the other's word. */
  'x-handshake-timeout': millis(10_000, 10, 600_000),
} as const satisfies Record<string, ParameterRule>;

export type Parameter = keyof typeof parameterRules;
type ValueOf<Rule extends ParameterRule> = Rule extends EnumRule ? Rule['values'][number] : number;
export type Parameters = {
  readonly [Name in Parameter]: ValueOf<(typeof parameterRules)[Name]>;
};

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
  'multifd-zstd-level',
  'multifd-qatzip-level',
  'block-bitmap-mapping',
  'x-vcpu-dirty-limit-period',
  'vcpu-dirty-limit',
  'mode',
  'direct-io',
] as const;

export const parameterDefaults = Object.fromEntries(
  Object.entries(parameterRules).map(([name, rule]) => [name, rule.initial]),
) as Parameters; // of every name, each as its rule has it

export function isParameter(name: string): name is Parameter {
  return Object.hasOwn(parameterRules, name);
}

/**
 * @returns `current` with `changes` applied: all of them or none.
 * @throws {MigrationError} `ERR_ARGUMENT` naming the parameter that is unknown, not implemented, not
 *   of its kind, or out of its range.
 */
export function changeParameters(
  current: Parameters,
  changes: Readonly<Record<string, unknown>>,
): Parameters {
  const next: Record<Parameter, unknown> = { ...current };
  for (const [name, value] of Object.entries(changes)) {
    if (!isParameter(name)) {
      const known = (unsupportedParameters as readonly string[]).includes(name);
      throw refuse(known ? `parameter '${name}' is not supported` : `unknown parameter '${name}'`);
    }
    next[name] = checkValue(name, value);
  }
  return next as Parameters; // each has passed its rule, now or before
}

function checkValue(name: Parameter, value: unknown): number | string {
  const rule: ParameterRule = parameterRules[name];
  switch (rule.kind) {
    case 'number': {
      const { min, max, unit } = rule;
      if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) {
        return value as number;
      }
      throw refuse(`parameter '${name}' expects a whole number from ${min} to ${max} (${unit})`);
    }
    case 'enum': {
      if (rule.values.includes(value as string)) return value as string;
      const expected = `parameter '${name}' expects one of ${rule.values.join(', ')}`;
      const isKnown = rule.unsupported.includes(value as string);
      throw refuse(isKnown ? `${expected}; '${value as string}' is not supported` : expected);
    }
    default:
      return assertNever(rule);
  }
}

function number(initial: number, min: number, max: number, unit: string): NumberRule {
  return { kind: 'number', initial, min, max, unit };
}

function bytesPerSecond(initial: number): NumberRule {
  return number(initial, 0, SIZE_MAX, 'bytes per second');
}

function millis(initial: number, min: number, max: number): NumberRule {
  return number(initial, min, max, 'milliseconds');
}

function refuse(message: string): MigrationError {
  return new MigrationError('ERR_ARGUMENT', message);
}

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

interface BooleanRule {
  readonly kind: 'boolean';
  readonly initial: boolean;
}

interface EnumRule {
  readonly kind: 'enum';
  readonly initial: string;
  readonly values: readonly string[];
  /** QEMU's others: known by name, refused by name. */
  readonly unsupported: readonly string[];
}

/** The id of an object, or a name; '' is none. */
interface StringRule {
  readonly kind: 'string';
  readonly initial: string;
}

type ParameterRule = NumberRule | BooleanRule | EnumRule | StringRule;

/** Each is a thread on either side. */
export const PAGE_CHANNELS_MAX = 32;

/** A shorter interval between two heartbeats counts as this; milliseconds. */
export const HEARTBEAT_MILLIS_MIN = 10;

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
  /** With `auto-converge`: what the guest may write, of what is sent, before it is slowed down. */
  'throttle-trigger-threshold': percent(50, 1, 100),
  /** The share of its time that a vCPU loses at first, and what is added each time. */
  'cpu-throttle-initial': percent(20, 1, 99),
  'cpu-throttle-increment': percent(10, 1, 99),
  /** Smaller steps, as the guest comes near to what can be sent. */
  'cpu-throttle-tailslow': { kind: 'boolean', initial: false },
  /** Not below cpu-throttle-initial. */
  'max-cpu-throttle': percent(99, 1, 99),
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
  /** The credentials of every connection made from now on; '': in the clear. */
  'tls-creds': { kind: 'string', initial: '' },
  /** Of a source: what the destination's certificate must name; '': the host that is dialled. */
  'tls-hostname': { kind: 'string', initial: '' },
  /** Of a destination: the authz object that a source's name must pass; '': whoever proves one. */
  'tls-authz': { kind: 'string', initial: '' },
  /** Ours: for dialling, and for each step in which one side waits for the other's word. */
  'x-handshake-timeout': millis(10_000, 10, 600_000),
  /** Ours: how often either side says that it is there, by the source's; 0: never. */
  'x-heartbeat-interval': millis(1000, 0, 600_000),
  /** Ours, with heartbeats: how long a channel may bring nothing; three intervals at the least. */
  'x-link-timeout': millis(5000, 10, 3_600_000),
  /** Ours, with `x-auto-recover`: how often a new link is tried before somebody has to ask. */
  'x-recover-attempts': number(10, 1, 1_000_000, 'attempts'),
  /** How long before the first attempt at most; twice as long before each that follows. */
  'x-recover-backoff': millis(1000, 1, 600_000),
  /** Never longer than this. */
  'x-recover-backoff-max': millis(30_000, 1, 3_600_000),
} as const satisfies Record<string, ParameterRule>;

export type Parameter = keyof typeof parameterRules;
type ValueOf<Rule extends ParameterRule> = Rule extends BooleanRule
  ? boolean
  : Rule extends EnumRule
    ? Rule['values'][number]
    : Rule extends StringRule
      ? string
      : number;
export type Parameters = {
  readonly [Name in Parameter]: ValueOf<(typeof parameterRules)[Name]>;
};

/** QEMU's others: known by name, refused by name. */
export const unsupportedParameters = [
  'announce-initial',
  'announce-max',
  'announce-rounds',
  'announce-step',
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
 *   of its kind, out of its range, or does not go with another.
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
  const parameters = next as Parameters; // each has passed its rule, now or before
  checkTogether(parameters);
  return parameters;
}

function checkValue(name: Parameter, value: unknown): number | boolean | string {
  const rule: ParameterRule = parameterRules[name];
  switch (rule.kind) {
    case 'number': {
      const { min, max, unit } = rule;
      if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) {
        return value as number;
      }
      throw refuse(`parameter '${name}' expects a whole number from ${min} to ${max} (${unit})`);
    }
    case 'boolean':
      if (typeof value === 'boolean') return value;
      throw refuse(`parameter '${name}' expects true or false`);
    case 'string':
      if (typeof value === 'string') return value;
      throw refuse(`parameter '${name}' expects a string`);
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

/** What holds between parameters, whichever of them was changed. */
function checkTogether(parameters: Parameters): void {
  const initial = parameters['cpu-throttle-initial'];
  if (parameters['max-cpu-throttle'] < initial) {
    throw refuse(
      `parameter 'max-cpu-throttle' expects a whole number from cpu-throttle-initial (${initial}) to 99 (percent)`,
    );
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

function percent(initial: number, min: number, max: number): NumberRule {
  return number(initial, min, max, 'percent');
}

function refuse(message: string): MigrationError {
  return new MigrationError('ERR_ARGUMENT', message);
}

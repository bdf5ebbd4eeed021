import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  changeParameters,
  isParameter,
  type Parameter,
  parameterDefaults,
  parameterRules,
  unsupportedParameters,
} from '../src/parameters.ts';

type NumberParameter = {
  [Name in Parameter]: (typeof parameterRules)[Name] extends { kind: 'number' } ? Name : never;
}[Parameter];

const names = Object.keys(parameterRules) as Parameter[]; // a literal: no other keys
const numbers = names.filter(
  (name): name is NumberParameter => parameterRules[name].kind === 'number',
);
/** Where the others leave each its whole range. */
const roomy = { ...parameterDefaults, 'cpu-throttle-initial': 1 };

function expectRefusal(changes: Readonly<Record<string, unknown>>, message: string): void {
  expect(() => changeParameters(parameterDefaults, changes)).toThrow(
    expect.objectContaining({ code: 'ERR_ARGUMENT', message }),
  );
}

test("the defaults are QEMU's, and our own where it has none", () => {
  expect(parameterDefaults).toEqual({
    'max-bandwidth': 134_217_728,
    'max-postcopy-bandwidth': 0,
    'multifd-channels': 2,
    'avail-switchover-bandwidth': 0,
    'downtime-limit': 300,
    'throttle-trigger-threshold': 50,
    'cpu-throttle-initial': 20,
    'cpu-throttle-increment': 10,
    'cpu-throttle-tailslow': false,
    'max-cpu-throttle': 99,
    'multifd-compression': 'none',
    'multifd-zlib-level': 1,
    'zero-page-detection': 'multifd',
    'tls-creds': '',
    'tls-hostname': '',
    'tls-authz': '',
    'x-handshake-timeout': 10_000,
    'x-heartbeat-interval': 1000,
    'x-link-timeout': 5000,
    'x-recover-attempts': 10,
    'x-recover-backoff': 1000,
    'x-recover-backoff-max': 30_000,
  });
});

test('every whole number in its range is taken', () => {
  const someChange = fc.constantFrom(...numbers).chain((name) => {
    const { min, max } = parameterRules[name];
    return fc.tuple(
      fc.constant(name),
      fc.maxSafeInteger().map((it) => clamp(it, min, max)),
    );
  });
  fc.assert(
    fc.property(someChange, ([name, value]) => {
      const next = changeParameters(roomy, { [name]: value });
      expect(next).toEqual({ ...roomy, [name]: value });
    }),
  );
});

test.for(numbers)('%s is taken up to its limits and refused past them, in its unit', (name) => {
  const { min, max, unit } = parameterRules[name];
  const message = `parameter '${name}' expects a whole number from ${min} to ${max} (${unit})`;
  for (const value of [min, max]) {
    expect(changeParameters(roomy, { [name]: value })[name]).toBe(value);
  }
  for (const value of [min - 1, max + 1, max * 2, -Infinity, Infinity]) {
    expectRefusal({ [name]: value }, message);
  }
});

test.for(numbers)('%s is refused when it is not a whole number', (name) => {
  const { min, max, unit } = parameterRules[name];
  const message = `parameter '${name}' expects a whole number from ${min} to ${max} (${unit})`;
  for (const value of [min + 0.5, NaN, '100', 100n, true, null, undefined, [100], {}]) {
    expectRefusal({ [name]: value }, message);
  }
});

test('a switch is on or off and nothing else', () => {
  const name = 'cpu-throttle-tailslow';
  for (const value of [true, false]) {
    expect(changeParameters(parameterDefaults, { [name]: value })[name]).toBe(value);
  }
  for (const value of [0, 1, 'true', null, undefined, [true]]) {
    expectRefusal({ [name]: value }, `parameter '${name}' expects true or false`);
  }
});

test('a throttle does not begin above its maximum, whichever of the two is set', () => {
  const message =
    "parameter 'max-cpu-throttle' expects a whole number from cpu-throttle-initial (20) to 99 (percent)";
  expectRefusal({ 'max-cpu-throttle': 19 }, message);
  expectRefusal(
    { 'max-cpu-throttle': 50, 'cpu-throttle-initial': 51 },
    message.replace('20', '51'),
  );
  const both = { 'max-cpu-throttle': 10, 'cpu-throttle-initial': 10 };
  expect(changeParameters(parameterDefaults, both)).toEqual({ ...parameterDefaults, ...both });
});

test('a choice is one of its values and nothing else', () => {
  const name = 'multifd-compression';
  expect(changeParameters(parameterDefaults, { [name]: 'zlib' })[name]).toBe('zlib');
  for (const value of ['Zlib', 'zlib ', '', 'lz4', 1, true, null, undefined, ['zlib'], {}]) {
    expectRefusal({ [name]: value }, `parameter '${name}' expects one of none, zlib`);
  }
  const refusal = `parameter '${name}' expects one of none, zlib; 'zstd' is not supported`;
  expectRefusal({ [name]: 'zstd' }, refusal);
});

test.for(unsupportedParameters)('%s is refused by name', (name) => {
  expectRefusal({ [name]: 1 }, `parameter '${name}' is not supported`);
});

test('a name that nobody knows is refused', () => {
  for (const name of ['max_bandwidth', '', 'toString', 'constructor']) {
    expectRefusal({ [name]: 1 }, `unknown parameter '${name}'`);
    expect(isParameter(name)).toBe(false);
  }
  // As JSON has it: a key of its own, not the prototype.
  const changes = JSON.parse('{"__proto__": 1}') as Record<string, unknown>;
  expectRefusal(changes, "unknown parameter '__proto__'");
});

test('one parameter that is refused leaves all as they were', () => {
  const current = { ...parameterDefaults };
  const changes = { 'downtime-limit': 20, 'max-bandwidth': -1, 'max-postcopy-bandwidth': 5 };
  expect(() => changeParameters(current, changes)).toThrow("'max-bandwidth'");
  expect(current).toEqual(parameterDefaults);
});

test('several parameters change at once, and those given are not changed', () => {
  const next = changeParameters(parameterDefaults, { 'downtime-limit': 20, 'max-bandwidth': 0 });
  expect(next).toEqual({ ...parameterDefaults, 'downtime-limit': 20, 'max-bandwidth': 0 });
  expect(parameterDefaults['downtime-limit']).toBe(300);
});

test('no parameter is both implemented and not supported', () => {
  expect(unsupportedParameters.filter((name) => isParameter(name))).toEqual([]);
});

test('a default is within its own range', () => {
  expect(changeParameters(parameterDefaults, parameterDefaults)).toEqual(parameterDefaults);
});

function clamp(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, value));
}

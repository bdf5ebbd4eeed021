import { describe, expect, test } from 'vitest';
import {
  capabilityDefaults,
  changeCapabilities,
  isCapability,
  unsupportedCapabilities,
} from '../src/capabilities.ts';
import {
  changeParameters,
  isParameter,
  parameterDefaults,
  parameterRules,
  unsupportedParameters,
} from '../src/parameters.ts';

/*
 * Every capability and every parameter of QEMU 10.0 (qapi/migration.json): we have it, or refuse it by
 * its name. `later` is what we mean to have and refuse until then.
 */

type Standing = 'here' | 'later' | 'refused';

const qemuCapabilities: Readonly<Record<string, Standing>> = {
  xbzrle: 'refused',
  'rdma-pin-all': 'refused',
  'auto-converge': 'here',
  'zero-blocks': 'refused',
  events: 'here',
  'postcopy-ram': 'here',
  'x-colo': 'refused',
  'release-ram': 'refused',
  'return-path': 'here',
  'pause-before-switchover': 'here',
  multifd: 'here',
  'dirty-bitmaps': 'refused',
  'postcopy-blocktime': 'here',
  'late-block-activate': 'refused',
  'x-ignore-shared': 'refused',
  'validate-uuid': 'here',
  'background-snapshot': 'refused',
  'zero-copy-send': 'refused',
  'postcopy-preempt': 'here',
  'switchover-ack': 'here',
  'dirty-limit': 'refused',
  'mapped-ram': 'refused',
};

const qemuParameters: Readonly<Record<string, Standing>> = {
  'announce-initial': 'refused',
  'announce-max': 'refused',
  'announce-rounds': 'refused',
  'announce-step': 'refused',
  'throttle-trigger-threshold': 'here',
  'cpu-throttle-initial': 'here',
  'cpu-throttle-increment': 'here',
  'cpu-throttle-tailslow': 'here',
  'max-cpu-throttle': 'here',
  'tls-creds': 'here',
  'tls-hostname': 'here',
  'tls-authz': 'here',
  'max-bandwidth': 'here',
  'avail-switchover-bandwidth': 'here',
  'downtime-limit': 'here',
  'x-checkpoint-delay': 'refused',
  'multifd-channels': 'here',
  'xbzrle-cache-size': 'refused',
  'max-postcopy-bandwidth': 'here',
  'multifd-compression': 'here',
  'multifd-zlib-level': 'here',
  'multifd-zstd-level': 'refused',
  'multifd-qatzip-level': 'refused',
  'block-bitmap-mapping': 'refused',
  'x-vcpu-dirty-limit-period': 'refused',
  'vcpu-dirty-limit': 'refused',
  mode: 'refused',
  'zero-page-detection': 'here',
  'direct-io': 'refused',
};

/** Of QEMU's enumerations that we have: every value, and whether it is taken. */
const qemuValues: Readonly<Record<string, Readonly<Record<string, boolean>>>> = {
  'multifd-compression': {
    none: true,
    zlib: true,
    zstd: false,
    qatzip: false,
    qpl: false,
    uadk: false,
  },
  'zero-page-detection': { none: true, legacy: true, multifd: true },
};

function argumentError(message: string): unknown {
  return expect.objectContaining({ code: 'ERR_ARGUMENT', message });
}

describe.each(Object.entries(qemuCapabilities))('capability %s', (capability, standing) => {
  const isHere = standing === 'here';

  test(isHere ? 'can be switched on' : 'is refused by name, and may be left off', () => {
    expect(isCapability(capability)).toBe(isHere);
    const setTo = (state: boolean) =>
      changeCapabilities(capabilityDefaults, [{ capability, state }]);
    if (isHere) {
      expect(setTo(true)).toEqual({ ...capabilityDefaults, [capability]: true });
      return;
    }
    expect(() => setTo(true)).toThrow(argumentError(`capability '${capability}' is not supported`));
    expect(setTo(false)).toEqual(capabilityDefaults);
  });
});

describe.each(Object.entries(qemuParameters))('parameter %s', (name, standing) => {
  const isHere = standing === 'here';

  test(isHere ? 'is there, with a default that it takes' : 'is refused by name', () => {
    expect(isParameter(name)).toBe(isHere);
    if (isParameter(name)) {
      const initial = parameterDefaults[name];
      expect(changeParameters(parameterDefaults, { [name]: initial })[name]).toBe(initial);
      return;
    }
    for (const value of [1, 'none', true]) {
      expect(() => changeParameters(parameterDefaults, { [name]: value })).toThrow(
        argumentError(`parameter '${name}' is not supported`),
      );
    }
  });
});

describe.each(Object.entries(qemuValues))('values of %s:', (name, values) => {
  const takes = Object.keys(values).filter((value) => values[value] === true);

  test.each(Object.entries(values))('%s (taken: %s)', (value, isTaken) => {
    const change = () => changeParameters(parameterDefaults, { [name]: value });
    if (isTaken) {
      expect(change()).toEqual({ ...parameterDefaults, [name]: value });
      return;
    }
    const expected = `parameter '${name}' expects one of ${takes.join(', ')}`;
    expect(change).toThrow(argumentError(`${expected}; '${value}' is not supported`));
  });
});

test("whatever else we have is marked as ours, and nothing of QEMU's is forgotten", () => {
  const ours = [...Object.keys(capabilityDefaults), ...Object.keys(parameterRules)].filter(
    (name) => !Object.hasOwn(qemuCapabilities, name) && !Object.hasOwn(qemuParameters, name),
  );
  expect(ours.filter((name) => !name.startsWith('x-'))).toEqual([]);
  for (const name of unsupportedCapabilities) expect(qemuCapabilities[name]).toBeDefined();
  for (const name of unsupportedParameters) expect(qemuParameters[name]).toBeDefined();
});

import { expect, test } from 'vitest';
import {
  type Capability,
  capabilityDefaults,
  changeCapabilities,
  isCapability,
  sharedCapabilities,
  unsupportedCapabilities,
} from '../src/capabilities.ts';

function expectRefusal(name: string, state: boolean, message: string): void {
  const changes = [{ capability: name, state }];
  expect(() => changeCapabilities(capabilityDefaults, changes)).toThrow(
    expect.objectContaining({ code: 'ERR_ARGUMENT', message }),
  );
}

test('every capability can be switched on, and off again but for the return path', () => {
  for (const capability of Object.keys(capabilityDefaults)) {
    const needed = capability === 'x-auto-postcopy' ? { 'postcopy-ram': true } : {};
    const before = { ...capabilityDefaults, ...needed };
    const on = changeCapabilities(before, [{ capability, state: true }]);
    expect(on).toEqual({ ...before, [capability]: true });
    if (capability === 'return-path') continue;
    const off = changeCapabilities(on, [{ capability, state: false }]);
    expect(off).toEqual({ ...before, [capability]: false });
  }
});

test('a migration without its return path cannot be asked for', () => {
  const message = "capability 'return-path' cannot be switched off: every migration proves its end";
  expectRefusal('return-path', false, message);
});

test.for(unsupportedCapabilities)('%s is refused by name when on and accepted when off', (name) => {
  expectRefusal(name, true, `capability '${name}' is not supported`);
  const changes = [{ capability: name, state: false }];
  expect(changeCapabilities(capabilityDefaults, changes)).toEqual(capabilityDefaults);
});

test('a name that nobody knows is refused, on or off', () => {
  for (const name of ['postcopy_ram', '', 'Events', 'toString', '__proto__', 'constructor']) {
    expectRefusal(name, true, `unknown capability '${name}'`);
    expectRefusal(name, false, `unknown capability '${name}'`);
    expect(isCapability(name)).toBe(false);
  }
});

test('one capability that is refused leaves all as they were', () => {
  const current = { ...capabilityDefaults };
  const changes = [
    { capability: 'postcopy-ram', state: true },
    { capability: 'xbzrle', state: true },
    { capability: 'events', state: true },
  ];
  expect(() => changeCapabilities(current, changes)).toThrow("'xbzrle'");
  expect(current).toEqual(capabilityDefaults);
});

test('several changes are made in order, and the capabilities given are not changed', () => {
  const changes = [
    { capability: 'postcopy-ram', state: true },
    { capability: 'events', state: true },
    { capability: 'events', state: false },
  ];
  const next = changeCapabilities(capabilityDefaults, changes);
  expect(next).toEqual({ ...capabilityDefaults, 'postcopy-ram': true });
  expect(capabilityDefaults['postcopy-ram']).toBe(false);
});

test('x-auto-postcopy goes with postcopy-ram, in whatever order both are set', () => {
  const message = "capability 'x-auto-postcopy' requires capability 'postcopy-ram'";
  expectRefusal('x-auto-postcopy', true, message);
  const changes = [
    { capability: 'x-auto-postcopy', state: true },
    { capability: 'postcopy-ram', state: true },
  ];
  const both = changeCapabilities(capabilityDefaults, changes);
  expect(both).toMatchObject({ 'x-auto-postcopy': true, 'postcopy-ram': true });
  const off = [{ capability: 'postcopy-ram', state: false }];
  expect(() => changeCapabilities(both, off)).toThrow(message);
});

test('the urgent channel is on unless switched off', () => {
  expect(capabilityDefaults['postcopy-preempt']).toBe(true);
});

test('what both sides must agree on is implemented', () => {
  expect(sharedCapabilities.filter((name) => !isCapability(name))).toEqual([]);
});

test('no capability is both implemented and not supported', () => {
  expect(unsupportedCapabilities.filter((name) => isCapability(name))).toEqual([]);
});

test('a capability that does not exist does not compile', () => {
  // @ts-expect-error: QEMU spells it postcopy-ram
  const name: Capability = 'postcopy_ram';
  expect(isCapability(name)).toBe(false);
});

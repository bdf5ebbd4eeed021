import { decode, encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeDeviceState, encodeDeviceState, type DeviceState } from '../src/device-state.ts';
import { GuestError } from '../src/errors.ts';

const blocks = [
  { id: 'pc.ram', byteLength: 64 * 4096 },
  { id: 'vga', byteLength: 4096 },
];
const state: DeviceState = {
  workload: 'zipf',
  seed: 0xfedcba98,
  fill: 0.3,
  rate: 1500.5,
  vcpus: [{ steps: 7 }, { steps: 2 ** 53 - 1 }],
  blocks,
};

test('a guest gets back the state it saved', () => {
  expect(decodeDeviceState(encodeDeviceState(state), blocks)).toEqual(state);
});

test('the document is msgpack of the documented fields', () => {
  expect(decode(encodeDeviceState(state))).toEqual({
    type: 'godwit-dummy-guest',
    version: 1,
    ...state,
  });
});

const wrong: Record<string, [change: Record<string, unknown>, reason: string]> = {
  'another kind of guest': [{ type: 'kvm' }, 'not of a dummy guest'],
  'a later version': [{ version: 2 }, 'version is not 1'],
  'an unknown workload': [{ workload: 'spin' }, 'workload'],
  'a seed beyond 32 bits': [{ seed: 2 ** 32 }, 'seed'],
  'a seed that is text': [{ seed: '1' }, 'seed is not a number'],
  'a fill above 1': [{ fill: 1.5 }, 'fill'],
  'a fill that is no number': [{ fill: NaN }, 'fill'],
  'an endless rate': [{ rate: Infinity }, 'rate'],
  'a negative rate': [{ rate: -1 }, 'rate'],
  'no vCPU': [{ vcpus: [] }, 'vcpus'],
  'more vCPUs than pages': [{ vcpus: Array.from({ length: 66 }, () => ({ steps: 0 })) }, 'vcpus'],
  'too many vCPUs to read': [{ vcpus: Array.from({ length: 1e3 }, () => ({ steps: 0 })) }, 'shape'],
  'half a step': [{ vcpus: [{ steps: 0.5 }] }, 'vcpus[0].steps'],
  'steps beyond exact numbers': [{ vcpus: [{ steps: 2 ** 53 }] }, 'vcpus[0].steps'],
  'a vCPU without steps': [{ vcpus: [{}] }, 'vcpus[0] lacks steps'],
  'vCPUs that are no list': [{ vcpus: { steps: 1 } }, 'vcpus is not a list'],
  'a missing block': [{ blocks: blocks.slice(1) }, '1 RAM blocks, not 2'],
  'blocks in another order': [{ blocks: blocks.toReversed() }, 'blocks[0] is not pc.ram'],
  'a block of another size': [
    { blocks: [blocks[0], { id: 'vga', byteLength: 8192 }] },
    'blocks[1] is not vga of 4096 bytes',
  ],
  'an unknown field': [{ colour: 'red' }, 'unknown field "colour"'],
};

test.for(Object.entries(wrong))('%s is refused by name', ([, [change, reason]]) => {
  const bytes = encode({ type: 'godwit-dummy-guest', version: 1, ...state, ...change });
  expect(() => decodeDeviceState(bytes, blocks)).toThrow(GuestError);
  expect(() => decodeDeviceState(bytes, blocks)).toThrow(reason);
});

test('arbitrary and damaged bytes are refused with the one error', () => {
  const good = encodeDeviceState(state);
  const damaged = fc
    .tuple(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), fc.nat(good.length))
    .map(([index, flip, end]) => {
      const bytes = Uint8Array.from(good);
      bytes[index] = (bytes[index] ?? 0) ^ flip;
      return bytes.subarray(0, end);
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), damaged), (bytes) => {
      try {
        expect(decodeDeviceState(bytes, blocks).blocks).toEqual(blocks);
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_DEVICE_STATE' });
      }
    }),
    { numRuns: 2000 },
  );
});

test('a document longer than the limit is refused unread', () => {
  expect(() => decodeDeviceState(new Uint8Array(65_537), blocks)).toThrow('longer than 65536');
});

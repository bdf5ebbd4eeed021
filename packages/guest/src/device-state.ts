import { decode, encode } from '@msgpack/msgpack';

import type { RamBlock } from '@godwit/core';

import { GuestError } from './errors.ts';
import { BLOCK_COUNT_MAX, countPages } from './pages/memory-pages.ts';
import { checkProgram, VCPU_COUNT_MAX, workloads, type GuestProgram } from './program.ts';

export const DEVICE_STATE_BYTES_MAX = 64 * 1024;

const VERSION = 1;

/**
 * All of the dummy guest but its RAM: a msgpack map of these fields and
 * `{ type: 'godwit-dummy-guest', version: 1 }`. Generators need no state of their own: every draw
 * is a function of the seed and the step count.
 */
export interface DeviceState extends GuestProgram {
  /** Pages/s of the guest, shared between its vCPUs; 0 is unlimited. */
  readonly rate: number;
  /** In the order of the vCPUs. */
  readonly vcpus: readonly { readonly steps: number }[];
  /** The RAM the steps were made in; a destination must have the same. */
  readonly blocks: readonly { readonly id: string; readonly byteLength: number }[];
}

export function encodeDeviceState(state: DeviceState): Uint8Array {
  const { workload, seed, fill, rate, vcpus, blocks } = state;
  const document = { type: 'godwit-dummy-guest', version: VERSION, workload, seed, fill, rate };
  return encode({
    ...document,
    vcpus: vcpus.map(({ steps }) => ({ steps })),
    blocks: blocks.map(({ id, byteLength }) => ({ id, byteLength })),
  });
}

/**
 * The document comes from a peer that is not trusted: every field is checked.
 *
 * @param ram what this guest has; the document must name the same blocks in the same order.
 * @throws {GuestError} `ERR_DEVICE_STATE`, saying which field is wrong.
 */
export function decodeDeviceState(
  bytes: Uint8Array,
  ram: readonly Pick<RamBlock, 'id' | 'byteLength'>[],
): DeviceState {
  const document = readFields(decodeBounded(bytes), 'the document', [
    'type',
    'version',
    'workload',
    'seed',
    'fill',
    'rate',
    'vcpus',
    'blocks',
  ]);
  refuseUnless(document['type'] === 'godwit-dummy-guest', 'it is not of a dummy guest');
  refuseUnless(document['version'] === VERSION, `its version is not ${VERSION}`);

  const workload = workloads.find((name) => name === document['workload']);
  refuseUnless(workload !== undefined, `workload is not one of ${workloads.join(', ')}`);
  const seed = readNumber(document['seed'], 'seed');
  const fill = readNumber(document['fill'], 'fill');
  const rate = readNumber(document['rate'], 'rate');
  const vcpus = readList(document['vcpus'], 'vcpus').map((value, index) => {
    const field = `vcpus[${index}]`;
    const steps = readNumber(readFields(value, field, ['steps'])['steps'], `${field}.steps`);
    refuseUnless(Number.isSafeInteger(steps) && steps >= 0, `${field}.steps is no count`);
    return { steps };
  });
  const program = { workload, seed, fill, rate };
  try {
    checkProgram({ ...program, vcpus: vcpus.length }, countPages(ram));
  } catch (error) {
    throw new GuestError('ERR_DEVICE_STATE', (error as Error).message, { cause: error }); // RangeError
  }
  return { ...program, vcpus, blocks: readBlocks(document['blocks'], ram) };
}

function readBlocks(
  value: unknown,
  ram: readonly Pick<RamBlock, 'id' | 'byteLength'>[],
): DeviceState['blocks'] {
  const blocks = readList(value, 'blocks');
  refuseUnless(
    blocks.length === ram.length,
    `it has ${blocks.length} RAM blocks, not ${ram.length}`,
  );
  return ram.map(({ id, byteLength }, index) => {
    const block = readFields(blocks[index], `blocks[${index}]`, ['id', 'byteLength']);
    refuseUnless(
      block['id'] === id && block['byteLength'] === byteLength,
      `blocks[${index}] is not ${id} of ${byteLength} bytes`,
    );
    return { id, byteLength };
  });
}

function decodeBounded(bytes: Uint8Array): unknown {
  const byteLengthMax = DEVICE_STATE_BYTES_MAX;
  refuseUnless(bytes.byteLength <= byteLengthMax, `it is longer than ${byteLengthMax} bytes`);
  try {
    return decode(bytes, {
      maxArrayLength: Math.max(VCPU_COUNT_MAX, BLOCK_COUNT_MAX),
      maxMapLength: 16,
      maxBinLength: 0,
      maxExtLength: 0,
    });
  } catch (error) {
    throw new GuestError('ERR_DEVICE_STATE', 'it is not msgpack of the agreed shape', {
      cause: error,
    });
  }
}

/** A map with exactly these fields: an unknown one means something we would not keep. */
function readFields(
  value: unknown,
  name: string,
  fields: readonly string[],
): Readonly<Record<string, unknown>> {
  const isMap = typeof value === 'object' && value !== null && !Array.isArray(value);
  refuseUnless(isMap, `${name} is not a map`);
  for (const key of Object.keys(value)) {
    refuseUnless(fields.includes(key), `${name} has an unknown field ${JSON.stringify(key)}`);
  }
  for (const field of fields) refuseUnless(Object.hasOwn(value, field), `${name} lacks ${field}`);
  return value as Record<string, unknown>; // an object that is no array; its values stay unknown
}

function readList(value: unknown, name: string): readonly unknown[] {
  refuseUnless(Array.isArray(value), `${name} is not a list`);
  return value as readonly unknown[]; // of anything: Array.isArray says any
}

function readNumber(value: unknown, name: string): number {
  refuseUnless(typeof value === 'number', `${name} is not a number`);
  return value;
}

function refuseUnless(condition: boolean, reason: string): asserts condition {
  if (!condition) throw new GuestError('ERR_DEVICE_STATE', reason);
}

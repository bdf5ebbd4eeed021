import { onTestFinished } from 'vitest';
import { closeDescriptor } from '../src/io.ts';
import { createMemfd, setFileBytes } from '../src/memory-files.ts';
import { NativeBuffer, mapAnonymous, mapShared, unmap, viewMemory } from '../src/mmap.ts';
import { type UserfaultfdSupport, openUserfaultfd, probeUserfaultfd } from '../src/userfaultfd.ts';

/** How this process may have a userfaultfd; undefined where it may not, and tests are skipped. */
export const userfaultfd = supportOrUndefined();

/** A mapping with its view, until the test ends. */
export interface Mapping {
  readonly address: number;
  readonly bytes: Uint8Array;
}

/** Closes a descriptor when the test ends. */
export function owned(fd: number): number {
  onTestFinished(() => closeDescriptor(fd));
  return fd;
}

/** Opens a userfaultfd in the way this process may, until the test ends. */
export function openUffd(features: number | bigint): number {
  return owned(openUserfaultfd({ userModeOnly: userfaultfd?.how === 'user-mode-only', features }));
}

export function anonymous(byteLength: number): Mapping {
  return mapped(mapAnonymous(byteLength), byteLength);
}

export function shared(fd: number, byteLength: number, offset = 0): Mapping {
  return mapped(mapShared(fd, byteLength, offset), byteLength);
}

export function memfd(byteLength: number): number {
  const fd = owned(createMemfd('test'));
  setFileBytes(fd, byteLength);
  return fd;
}

export function buffer(byteLength: number): NativeBuffer {
  const memory = new NativeBuffer(byteLength);
  onTestFinished(() => memory[Symbol.dispose]());
  return memory;
}

function mapped(address: number, byteLength: number): Mapping {
  onTestFinished(() => unmap(address, byteLength));
  return { address, bytes: new Uint8Array(viewMemory(address, byteLength)) };
}

function supportOrUndefined(): UserfaultfdSupport | undefined {
  try {
    return probeUserfaultfd();
  } catch {
    return undefined;
  }
}

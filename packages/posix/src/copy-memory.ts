import { declare } from './libc.ts';

const libcMemcpy = declare('memcpy', 'intptr_t', ['uintptr_t', 'uintptr_t', 'size_t']);

/** Copies between mapped ranges that do not overlap; no page of either may be missing. */
export function copyMemory(destination: number, source: number, byteLength: number): void {
  libcMemcpy(destination, source, byteLength);
}

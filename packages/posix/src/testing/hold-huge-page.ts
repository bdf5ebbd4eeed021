import { openSync, readSync } from 'node:fs';
import { check, declare } from '../libc.ts';
import { Advice, advise, mapAnonymous, pageBytes } from '../mmap.ts';
import { createPipe } from '../pipe.ts';
import { StructMemory } from '../struct-memory.ts';

/*
 * For tests: makes a huge page of the first 2 MiB of a file in memory, and holds its first page, as somebody
 * who reads it by direct I/O would:
 *
 *     node hold-huge-page.js FILE
 *
 * It says `held` and lets go when its input ends. Where the host has no such huge pages it fails.
 */

const libcMmap = declare('mmap', 'uintptr_t', [
  'uintptr_t',
  'size_t',
  'int',
  'int',
  'int',
  'int64_t',
]);
const libcVmsplice = declare('vmsplice', 'int64_t', ['int', 'uintptr_t', 'ulong', 'int']);

const HUGE_PAGE_BYTES = 2 * 1024 * 1024;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_FIXED = 16;

const file = openSync(process.argv[2] ?? '', 'r+');
const alignment = HUGE_PAGE_BYTES;
// Nobody else knows of this address, so nothing is lost under the mapping that takes its place.
const address = mapAnonymous(HUGE_PAGE_BYTES, { alignment });
const flags = MAP_SHARED | MAP_FIXED;
check(libcMmap(address, HUGE_PAGE_BYTES, PROT_READ_WRITE, flags, file, 0), 'mmap');
advise(address, HUGE_PAGE_BYTES, Advice.POPULATE_READ);
advise(address, HUGE_PAGE_BYTES, Advice.COLLAPSE);
const { writer } = createPipe();
const range = new StructMemory(16); // a `struct iovec`, reachable until the kernel has looked
range.writeU64(0, address);
range.writeU64(8, pageBytes);
check(libcVmsplice(writer, range.address, 1, 0), 'vmsplice');
process.stdout.write('held');
readSync(0, new Uint8Array(1)); // until it ends

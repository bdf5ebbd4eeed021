import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const posix = JSON.stringify(fileURLToPath(new URL('../dist/index.js', import.meta.url)));

/** The least V8 could allocate per call, a boxed number, takes 12 bytes. */
const BYTES_PER_CALL_MAX = 4;

test('the calls of hot loops allocate nothing', () => {
  // A process of its own: compiled code, no other work, and a young generation that needs no
  // collection meanwhile.
  const program = `
    const posix = await import(${posix});
    const [near, far] = posix.socketPair();
    const memory = new posix.NativeBuffer(posix.pageBytes);
    const vector = new posix.IoVector(2);
    const event = posix.createEventfd();
    const set = new posix.PollSet(1);
    set.set(0, event, posix.POLLIN);
    const reader = new posix.FaultReader(4);
    const calls = {
      'write, read': () => {
        posix.tryWrite(near, memory.address, 1);
        posix.tryRead(far, memory.address, 1);
      },
      'writev, readv': () => {
        vector.set(0, memory.address, 1);
        vector.set(1, memory.address + 1, 1);
        posix.tryWritev(near, vector, 2);
        posix.tryReadv(far, vector, 2);
      },
      'nothing received': () => posix.tryReceive(far, memory.address, 1),
      'a failed call': () => posix.tryRead(-1, memory.address, 1),
      eventfd: () => {
        posix.signalEventfd(event);
        posix.drainEventfd(event);
      },
      poll: () => set.poll(0, 1),
      'a page copied': () => posix.tryCopyPages(-1, memory.address, memory.address, 4096, 0),
      'faults read': () => reader.read(event),
    };
    const bytesPerCall = {};
    for (const [name, call] of Object.entries(calls)) {
      for (let count = 0; count < 20_000; count += 1) call();
      // What a call allocates it allocates each time; what the compiler does, once.
      bytesPerCall[name] = 1e9;
      for (let round = 0; round < 3; round += 1) {
        const before = process.memoryUsage().heapUsed;
        for (let count = 0; count < 20_000; count += 1) call();
        const bytes = (process.memoryUsage().heapUsed - before) / 20_000;
        if (bytes >= 0) bytesPerCall[name] = Math.min(bytesPerCall[name], bytes); // no collection came in between
      }
    }
    console.log(JSON.stringify(bytesPerCall));`;
  const flags = ['--min-semi-space-size=64', '--max-semi-space-size=64', '--input-type=module'];
  const output = execFileSync(process.execPath, [...flags, '--eval', program], {
    encoding: 'utf8',
  });
  const measured = Object.entries(JSON.parse(output) as Record<string, number>);
  expect(measured).toHaveLength(8);
  expect(measured.filter(([, bytes]) => bytes > BYTES_PER_CALL_MAX)).toEqual([]);
});

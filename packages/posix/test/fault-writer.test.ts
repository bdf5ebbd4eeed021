import { expect, onTestFinished, test } from 'vitest';
import { FaultEvent, FaultReader } from '../src/fault-reader.ts';
import { FaultWriter } from '../src/fault-writer.ts';
import { closeDescriptor } from '../src/io.ts';
import { socketPair } from '../src/sockets.ts';
import { owned } from './resources.ts';

test('what is written is read as a page fault of the kernel would be', () => {
  const [writer, reader] = socketPair().map((fd) => owned(fd)) as [number, number];
  const faults = new FaultWriter(writer);
  const address = 0x7f12_3456_7000; // beyond 32 bits
  faults.write(address, 4321);
  faults.write(address + 4096, 2 ** 31);
  const messages = new FaultReader(8);
  expect(messages.read(reader)).toBe(2);
  const read = [0, 1].map((i) => [
    messages.event(i),
    messages.flags(i),
    messages.address(i),
    messages.threadId(i),
  ]);
  expect(read).toEqual([
    [FaultEvent.PAGEFAULT, 0, address, 4321],
    [FaultEvent.PAGEFAULT, 0, address + 4096, 2 ** 31],
  ]);
});

test('that nobody reads any more is an error', () => {
  const [writer, reader] = socketPair();
  onTestFinished(() => closeDescriptor(writer));
  closeDescriptor(reader);
  expect(() => new FaultWriter(writer).write(4096, 1)).toThrow(/EPIPE/);
});

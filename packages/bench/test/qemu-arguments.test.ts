import { expect, test } from 'vitest';

import { migrationUri, qemuArguments } from '../src/peer/qemu-arguments.ts';

const plan = {
  memoryBytes: 2 ** 30,
  preallocate: true,
  incoming: true,
  image: '/tmp/a,b/guest.img',
  monitor: '/tmp/a,b/qmp',
};

function valuesOf(args: readonly string[], option: string): string[] {
  return args.filter((_, index) => args[index - 1] === option);
}

test('a destination has preallocated RAM and waits', () => {
  const args = qemuArguments(plan);
  expect(valuesOf(args, '-m')).toEqual(['1024M']);
  expect(valuesOf(args, '-object')).toEqual(['memory-backend-ram,id=ram,size=1024M,prealloc=on']);
  expect(valuesOf(args, '-incoming')).toEqual(['defer']);
});

test('RAM that shall be fresh is not touched, and a source boots', () => {
  const args = qemuArguments({ ...plan, preallocate: false, incoming: false });
  expect(valuesOf(args, '-object')).toEqual(['memory-backend-ram,id=ram,size=1024M']);
  expect(args).not.toContain('-incoming');
});

test('KVM is tried first, and what is emulated otherwise works everywhere', () => {
  expect(valuesOf(qemuArguments(plan), '-accel')).toEqual(['kvm', 'tcg']);
});

test('a comma in a path does not end it', () => {
  const args = qemuArguments(plan);
  expect(valuesOf(args, '-drive')[0]).toMatch(/,file=\/tmp\/a,,b\/guest\.img$/);
  expect(valuesOf(args, '-qmp')).toEqual(['unix:/tmp/a,,b/qmp,server=on,wait=off']);
});

test('pages go where the transport says', () => {
  expect(migrationUri('unix', '/tmp/a', 'pages')).toBe('unix:/tmp/a/pages');
  expect(migrationUri('tcp', '/tmp/a', 'pages')).toBe('tcp:127.0.0.1:0');
});

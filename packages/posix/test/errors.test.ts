import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { expect, test } from 'vitest';
import { SystemError, describeErrno } from '../src/errors.ts';

test('every error number of this host has the code that Node gives it', () => {
  for (const [name, errno] of Object.entries(constants.errno)) {
    const [code] = describeErrno(errno);
    // Some numbers have two names, as EAGAIN and EWOULDBLOCK; some are known to os alone.
    const names = [name, getSystemErrorName(-errno)];
    expect(names, `${name} = ${errno}`).toContain(code);
  }
});

test('the code, the number and the call are told apart and are in the message', () => {
  const error = new SystemError(11, 'read');
  expect(error).toMatchObject({ name: 'SystemError', code: 'EAGAIN', errno: 11, syscall: 'read' });
  expect(error.message).toBe('EAGAIN: resource temporarily unavailable, read');
});

test('a number without a name is told as a number', () => {
  expect(new SystemError(2000, 'ioctl').code).toBe('ERRNO_2000');
});

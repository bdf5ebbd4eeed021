import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { createProgram } from '../src/program.ts';

const own = Object.getOwnPropertyDescriptor(process, 'platform') as PropertyDescriptor;

beforeEach(() => void Object.defineProperty(process, 'platform', { ...own, value: 'darwin' }));
afterEach(() => void Object.defineProperty(process, 'platform', own));

test.each([
  ['guest', ['guest', '--name', 'a', '--memory', '16M', '--qmp', 'unix:/nowhere/at/all.qmp']],
  ['demo', ['demo']],
  ['bench migrate', ['bench', 'migrate', '--runs', '1']],
  ['bench scale', ['bench', 'scale']],
])('elsewhere than on Linux %s says so in one line, and begins nothing', async (name, words) => {
  const said = vi.spyOn(console, 'log');
  await expect(createProgram().parseAsync(['node', 'godwit', ...words])).rejects.toThrow(
    new RegExp(`^godwit ${name} needs Linux, and this is darwin: [^\n]*$`),
  );
  expect(said).not.toHaveBeenCalled();
});

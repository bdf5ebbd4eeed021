import { afterEach, beforeEach } from 'vitest';

import { TestDirectory } from '../../../test/support/test-directory.ts';

/** Where a socket file may be, in a directory of each test's own. */
export function useSocketPath(): { readonly path: string } {
  const it = { path: '' };
  let directory: TestDirectory;
  beforeEach(async () => {
    directory = await TestDirectory.make();
    it.path = directory.file('qmp');
  });
  afterEach(async () => {
    await directory[Symbol.asyncDispose]();
  });
  return it;
}

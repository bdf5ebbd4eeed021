import { afterEach, expect, test, vi } from 'vitest';

import { findLauncher } from '../src/peer/launcher.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

test('without setpriv a command is started as it is', async () => {
  vi.stubEnv('PATH', '/nonexistent');
  expect(await findLauncher()).toEqual([]);
});

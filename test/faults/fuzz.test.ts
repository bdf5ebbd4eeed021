import { fuzz } from '@godwit/fuzz';
import { expect, test } from 'vitest';
import { seed } from '../support/seed.ts';

/** All there is for it in CI; `pnpm fuzz --minutes N --seed N` goes on for longer. */
const MILLIS = 20_000;

test('whatever a peer says, neither side crashes, hangs, grows, or runs a guest that is not its own', async () => {
  const { finding, links, migrations } = await fuzz({ seed, millis: MILLIS });
  const where = `seed ${seed}, migration ${migrations}: ${JSON.stringify(finding?.plan)}`;
  expect(finding === undefined ? '' : `${finding.what}\n${where}`).toBe('');
  expect(links).toBeGreaterThan(0);
}, 240_000);

import { fileURLToPath } from 'node:url';
import { PingPong } from '@godwit/chaos';
import { expect, test } from 'vitest';
import { seed } from '../support/seed.ts';

const GODWIT = fileURLToPath(new URL('../../packages/cli/bin/godwit.js', import.meta.url));
const HOPS = 12;

test('a guest that goes to and fro leaves no more behind than it did at first', async () => {
  const { signal } = new AbortController();
  const options = { seed, hops: HOPS, warmUp: 4, godwit: GODWIT, signal };
  await using game = await PingPong.open(options);
  const hops: number[] = [];
  for await (const { number } of game.hops()) hops.push(number);
  await game.compare();
  expect([seed, game.found]).toEqual([seed, []]);
  expect(hops).toHaveLength(HOPS);
});

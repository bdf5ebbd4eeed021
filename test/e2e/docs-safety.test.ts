import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

test('every test that SAFETY.md names exists under that title', async () => {
  const text = await readFile(`${root}docs/SAFETY.md`, 'utf8');
  const named = [...text.matchAll(/`([\w./-]+\.test\.ts) > ([^`]+)`/g)];
  expect(named.length).toBeGreaterThan(50);
  const missing: string[] = [];
  for (const [, file = '', title = ''] of named) {
    const source = await readFile(`${root}${file}`, 'utf8').catch(() => '');
    // As a whole string of the source: a title that only begins like it is another test's.
    const isThere = ["'", '"', '`'].some((quote) => source.includes(`${quote}${title}${quote}`));
    if (!isThere) missing.push(`${file} > ${title}`);
  }
  expect(missing).toEqual([]);
});

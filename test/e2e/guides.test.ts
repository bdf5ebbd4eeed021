import { readdir, readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { GuideRun } from '../support/guide.ts';
import { isLike, isLineLike } from '../support/guide-likeness.ts';
import { TestDirectory } from '../support/test-directory.ts';

/*
 * The guides are run, block by block. After a change that they should show:
 * GODWIT_UPDATE_GUIDES=1 npx vitest run --project e2e test/e2e/guides.test.ts
 */
const isUpdate = process.env['GODWIT_UPDATE_GUIDES'] === '1';
const guides = fileURLToPath(new URL('../../docs/guides/', import.meta.url));

const files = (await readdir(guides)).filter((name) => name.endsWith('.md'));

test.each(files)('%s shows what happens', async (name) => {
  const path = join(guides, name);
  const markdown = await readFile(path, 'utf8');
  await using directory = await TestDirectory.make();
  await using run = await GuideRun.open(directory.path);
  const told = await run.follow(markdown, isUpdate);
  if (isUpdate) await writeFile(path, told);
  expect(told.split('\n').length).toBeGreaterThanOrEqual(markdown.split('\n').length);
});

test('a guide that shows something else is found out', () => {
  expect(isLike({ return: { status: 'running' } }, { return: { status: 'paused' } })).toBe(false);
  expect(isLike({ return: { ram: { total: 1 } } }, { return: { ram: { total: 2, x: 3 } } })).toBe(
    true,
  );
  expect(isLike({ return: {} }, { error: { class: 'GenericError' } })).toBe(false);
  expect(isLike({ return: [1] }, { return: [] })).toBe(false);
  expect(isLineLike('  1.2 s  completed', '0.71 s completed')).toBe(true);
  expect(isLineLike('1.2 s  completed', '1.2 s  failed')).toBe(false);
});

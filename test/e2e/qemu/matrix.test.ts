import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';

/** A row of the tables that names a test (in backticks, in the cell before) and its file. */
const ROW = /`([^`]+)`[^|`]*\| \[[^\]]+\]\(([^)]+)\) \|$/;

const page = await readFile(new URL('README.md', import.meta.url), 'utf8');
const rows = page.split('\n').filter((line) => line.startsWith('| ') && line.includes(']('));

test.each(rows)('%s', async (row) => {
  const [, title = '', file = ''] = ROW.exec(row) ?? [];
  expect(title).not.toBe('');
  expect(await readFile(new URL(file, import.meta.url), 'utf8')).toContain(title);
});

import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, onTestFinished, test } from 'vitest';

import { StateFile } from '../../src/evacuate/state-file.ts';

test('a state file whose folder goes away is told of once, and written again when it is back', () => {
  const folder = join(mkdtempSync(join(tmpdir(), 'state-')), 'run');
  onTestFinished(() => rmSync(join(folder, '..'), { recursive: true }));
  mkdirSync(folder);
  const path = join(folder, 'state.json');
  const notes: string[] = [];
  const file = new StateFile(path, (note) => notes.push(note));
  file.create({ moved: 0 });
  rmSync(folder, { recursive: true });
  for (const moved of [1, 2]) file.write({ moved });
  expect(notes).toEqual([expect.stringContaining('ENOENT')]);
  mkdirSync(folder);
  file.write({ moved: 3 });
  expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ moved: 3 });
});

test('a state file that cannot be written at all is an error before anything begins', () => {
  const file = new StateFile('/nonexistent/state.json', () => undefined);
  expect(() => file.create({})).toThrow('ENOENT');
});

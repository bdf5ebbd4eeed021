import { stripVTControlCharacters } from 'node:util';

import { expect, test } from 'vitest';

import { fit, painterFor, paintLine, wantsColours } from '../src/painter.ts';

const terminal = { isTTY: true, hasColors: () => true };
const grey = { isTTY: true, hasColors: () => false };
const pipe = {};

test.each([
  ['a terminal with colours', terminal, {}, true],
  ['a terminal without', grey, {}, false],
  ['a pipe', pipe, {}, false],
  ['NO_COLOR', terminal, { NO_COLOR: '1' }, false],
  ['an empty NO_COLOR, which says nothing', terminal, { NO_COLOR: '' }, true],
  ['FORCE_COLOR', pipe, { FORCE_COLOR: '1' }, true],
  ['an empty FORCE_COLOR', pipe, { FORCE_COLOR: '' }, true],
  ['FORCE_COLOR=0', terminal, { FORCE_COLOR: '0' }, false],
  ['FORCE_COLOR beside NO_COLOR', pipe, { FORCE_COLOR: '1', NO_COLOR: '1' }, true],
] as const)('%s decides about colours', (_case, output, environment, expected) => {
  expect(wantsColours(output, environment)).toBe(expected);
});

test('a painted line is cut by what is seen of it', () => {
  const segments = [
    ['good', 'abc'],
    ['bad', 'defgh'],
    ['plain', 'never'],
  ] as const;
  const line = paintLine(segments, 6, painterFor(true));
  expect(stripVTControlCharacters(line)).toBe('abcde…');
  expect(line).not.toBe(stripVTControlCharacters(line));
  expect(paintLine(segments, 0)).toBe('');
});

test('what does not fit ends in a sign that says so', () => {
  expect([fit('abc', 3), fit('abcd', 3), fit('abcd', 0)]).toEqual(['abc', 'ab…', '']);
});

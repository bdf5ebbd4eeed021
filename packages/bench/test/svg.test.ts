import { expect, test } from 'vitest';

import { element, pathOf, text } from '../src/chart/svg.ts';

test('what people wrote cannot become markup', () => {
  expect(text(1, 2, '<b> & "c"')).toBe('<text x="1" y="2">&lt;b&gt; &amp; &quot;c&quot;</text>');
  expect(element('a', { href: '"><script>' })).toBe('<a href="&quot;&gt;&lt;script&gt;"/>');
});

test('a path is no more exact than can be seen', () => {
  const points = [
    [0, 1.26],
    [10.04, 2],
  ] as const;
  expect(pathOf(points)).toBe('M0 1.3L10 2');
  expect(pathOf([])).toBe('');
});

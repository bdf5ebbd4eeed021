import { expect, test } from 'vitest';

import { parseMillis, parsePageRate, parseRate } from '../src/rates.ts';

test.each([
  ['0', 0],
  ['4096', 4096],
  ['100M', 100 * 2 ** 20],
  ['100M/s', 100 * 2 ** 20],
  ['100MiB/s', 100 * 2 ** 20],
  ['100MB/s', 100e6],
  ['95.3 MB/s', 95.3e6], // as we print it
  ['1.5G', 1.5 * 2 ** 30],
  ['1Gbit/s', 125e6],
  ['100Mbit', 12.5e6],
  ['64kB/s', 64_000],
])('the rate %s', (text, bytes) => {
  expect(parseRate(text)).toBe(bytes);
});

test.each(['', 'fast', '-1', '1e9', '10X', '1/s/s', '9999999T', '100Mbps'])(
  'no rate: %j',
  (text) => {
    expect(() => parseRate(text)).toThrow(`'${text}' is not a rate: bytes per second`);
  },
);

test.each([
  ['20000', 20_000],
  ['20k', 20_000],
  ['0', 0],
  ['-1', -1], // which the guest refuses
  ['80M/s', 20_480],
  ['4MiB', 1024],
])('the page rate %s', (text, pages) => {
  expect(parsePageRate(text)).toBe(pages);
});

test('no page rate', () => {
  expect(() => parsePageRate('often')).toThrow("'often' is not a page rate: pages per second");
});

test.each([
  ['300', 300],
  ['300ms', 300],
  ['1.5s', 1500],
  ['2min', 120_000],
])('the duration %s', (text, millis) => {
  expect(parseMillis(text)).toBe(millis);
});

test.each(['', 'soon', '-1s', '5h', '40000min'])('no duration: %j', (text) => {
  expect(() => parseMillis(text)).toThrow('is not a duration');
});

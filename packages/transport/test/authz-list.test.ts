import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type AuthzRule, isAllowed } from '../src/tls/authz-list.ts';

const allow = (match: string, format: AuthzRule['format'] = 'glob'): AuthzRule => {
  return { match, policy: 'allow', format };
};

test('the first rule that matches decides, and the policy where none does', () => {
  const deny = { ...allow('CN=b*'), policy: 'deny' } as const;
  const rules = [deny, allow('CN=*,O=Here'), allow('CN=b1,O=There', 'exact')];
  const allowed = (identity: string): boolean => isAllowed({ policy: 'deny', rules }, identity);
  expect(allowed('CN=a,O=Here')).toBe(true);
  expect(allowed('CN=b1,O=Here')).toBe(false);
  expect(allowed('CN=b1,O=There')).toBe(false);
  expect(allowed('CN=a,O=There')).toBe(false);
  expect(isAllowed({ policy: 'allow', rules }, 'CN=a,O=There')).toBe(true);
  expect(isAllowed({ policy: 'deny', rules: [] }, 'CN=a')).toBe(false);
});

test('an exact match takes * and ? for themselves', () => {
  const isAllowedExactly = (match: string, identity: string): boolean =>
    isAllowed({ policy: 'deny', rules: [allow(match, 'exact')] }, identity);
  expect(isAllowedExactly('CN=*', 'CN=a')).toBe(false);
  expect(isAllowedExactly('CN=*', 'CN=*')).toBe(true);
});

test('* is any characters, ? any one, and everything must match, whatever the letters', () => {
  const meanings = new Map([
    ['*', '.*'],
    ['?', '.'],
    ['.', '\\.'],
  ]);
  const letters = fc.array(fc.constantFrom('a', 'b', '*', '?', '.', '😀'), { maxLength: 8 });
  fc.assert(
    fc.property(letters, letters, (pattern, text) => {
      const regexp = pattern.map((it) => meanings.get(it) ?? it).join('');
      const expected = new RegExp(`^${regexp}$`, 'su').test(text.join(''));
      const rules = [allow(pattern.join(''))];
      expect(isAllowed({ policy: 'deny', rules }, text.join(''))).toBe(expected);
    }),
    { numRuns: 2_000 },
  );
});

test('a long name against many stars takes no time that grows beyond both lengths', () => {
  const rules = [allow(`${'*a'.repeat(64)}b`)];
  const started = performance.now();
  expect(isAllowed({ policy: 'deny', rules }, 'a'.repeat(50_000))).toBe(false);
  expect(performance.now() - started).toBeLessThan(2_000);
});

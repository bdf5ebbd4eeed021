import { expect, test } from 'vitest';

import { securityObject } from '../src/machine/security-object.ts';
import { securityObjectOption } from '../src/machine/security-object-option.ts';

test('an object is written on a command line as QEMU writes it', () => {
  expect(
    securityObjectOption('tls-creds-x509,id=tls0,dir=/a,,b,endpoint=server,verify-peer=off'),
  ).toEqual({
    type: 'tls-creds-x509',
    id: 'tls0',
    dir: '/a,b',
    endpoint: 'server',
    verifyPeer: false,
    sanityCheck: true,
  });
  expect(securityObjectOption('authz-simple,id=a,identity=CN=x,,C=GB')).toEqual({
    type: 'authz-simple',
    id: 'a',
    identity: 'CN=x,C=GB',
  });
});

test('a list is written item by item, or all of it as JSON', () => {
  const expected = {
    type: 'authz-list',
    id: 'a',
    policy: 'deny',
    rules: [
      { match: 'CN=a,O=b', policy: 'allow', format: 'exact' },
      { match: 'CN=*', policy: 'deny', format: 'glob' },
    ],
  };
  const items =
    'rules.0.match=CN=a,,O=b,rules.0.policy=allow,rules.1.match=CN=*,rules.1.policy=deny,rules.1.format=glob';
  expect(securityObjectOption(`authz-list,id=a,${items}`)).toEqual(expected);
  const { type, ...members } = expected;
  expect(securityObjectOption(JSON.stringify({ 'qom-type': type, ...members }))).toEqual(expected);
});

test('what QEMU leaves open is as in QEMU', () => {
  expect(securityObject({ 'qom-type': 'authz-list', id: 'a' })).toMatchObject({
    policy: 'deny',
    rules: [],
  });
  const psk = { 'qom-type': 'tls-creds-psk', id: 'tls0', dir: '/a', endpoint: 'client' };
  expect(securityObject(psk)).toMatchObject({ username: 'qemu' });
  const x509 = { ...psk, 'qom-type': 'tls-creds-x509' };
  expect(securityObject(x509)).toMatchObject({ verifyPeer: true });
});

test.each([
  ['tls-creds-anon,id=a', "'tls-creds-anon' is not supported"],
  ['authz-pam,id=a', "'authz-pam' is not supported"],
  ['rng-random,id=a', "does not accept value 'rng-random'"],
  ['tls-creds-x509,dir=/a,endpoint=client', "Parameter 'id' is missing"],
  ['tls-creds-x509,id=a,endpoint=client', "Parameter 'dir' is missing"],
  ['tls-creds-x509,id=a,dir=/a,endpoint=both', "'endpoint' does not accept value 'both'"],
  ['tls-creds-x509,id=a,dir=/a,endpoint=client,priority=NORMAL', "'priority' is not supported"],
  ['tls-creds-x509,id=a,dir=/a,endpoint=client,passwordid=x', "'passwordid' is not supported"],
  ['tls-creds-psk,id=a,dir=/a,endpoint=client,verify-peer=off', "'verify-peer' is not supported"],
  ['tls-creds-psk,id=a,dir=/a,endpoint=client,identity=x', "'identity' is unexpected"],
  ['authz-simple,id=a', "Parameter 'identity' is missing"],
  ['authz-simple,id=1 2,identity=x', "'id' expects an identifier"],
  ['authz-list,id=a,rules.0.match=x', "Parameter 'rules[0].policy' is missing"],
  ['authz-list,id=a,rules.1.match=x', 'items of a list count from 0'],
  [
    'authz-list,id=a,rules.0.match=x,rules.0.policy=deny,rules.0.name=x',
    "'rules[0].name' is unexpected",
  ],
  ['authz-list,id=a,rules=x', "type for 'rules', expected: array"],
  ['authz-list,id=a,policy=maybe', "'policy' does not accept value 'maybe'"],
  ['{"qom-type": "authz-list"', 'JSON parse error'],
  ['{"qom-type": "authz-list", "id": "a", "rules": [1]}', "'rules[0]', expected: object"],
  ['authz-simple,id=a,identity', "Expected 'NAME=VALUE'"],
  ['tls-creds-x509,id=a,dir=/a,endpoint=client,verify-peer=maybe', "expects 'on' or 'off'"],
])('%s is refused by what is wrong with it', (text, why) => {
  expect(() => securityObjectOption(text)).toThrow(why);
});

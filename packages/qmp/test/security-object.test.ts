import { expect, test } from 'vitest';

import { securityObject, securityObjectOption } from '../src/machine/security-object.ts';

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

test('what QEMU leaves open is as in QEMU', () => {
  const psk = { 'qom-type': 'tls-creds-psk', id: 'tls0', dir: '/a', endpoint: 'client' };
  expect(securityObject(psk)).toMatchObject({ username: 'qemu' });
  const x509 = { ...psk, 'qom-type': 'tls-creds-x509' };
  expect(securityObject(x509)).toMatchObject({ verifyPeer: true });
});

test.each([
  ['tls-creds-anon,id=a', "'tls-creds-anon' is not supported"],
  ['authz-list,id=a', "'authz-list' is not supported"],
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
  ['authz-simple,id=a,identity', "Expected 'NAME=VALUE'"],
  ['tls-creds-x509,id=a,dir=/a,endpoint=client,verify-peer=maybe', "expects 'on' or 'off'"],
])('%s is refused by what is wrong with it', (text, why) => {
  expect(() => securityObjectOption(text)).toThrow(why);
});

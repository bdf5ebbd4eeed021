import { SecurityObjects } from '@godwit/core';

const ID = 'bench';
const USERNAME = 'bench';

/** What a side is told so that every connection is encrypted; nothing without a key. */
export function security(
  endpoint: 'client' | 'server',
  key: string | undefined,
): { objects: SecurityObjects; parameters: Readonly<Record<string, string>> } {
  const objects = new SecurityObjects();
  if (key === undefined) return { objects, parameters: {} };
  const keys = { [USERNAME]: key };
  objects.addCredentials(ID, { type: 'psk', endpoint, username: USERNAME, keys });
  return { objects, parameters: { 'tls-creds': ID } };
}

import { type SecurityObject, SecurityObjects } from '@godwit/core';
import { QmpError, securityObjectOption } from '@godwit/qmp';
import { ChannelError } from '@godwit/transport';
import { InvalidArgumentError, Option } from 'commander';

import { UsageError } from './errors.ts';

const HELP =
  'what tls-creds and tls-authz may name, as QEMU writes it: tls-creds-x509,id=ID,dir=PATH,endpoint=server; ' +
  'may be repeated';

/** `--object TYPE,id=ID,…`, what QMP's object-add adds. */
export function objectOption(): Option {
  return new Option('--object <object>', HELP).argParser(addObject);
}

/** @throws {UsageError} a file is missing, or cannot be used: with its name. */
export async function securityObjects(
  objects: readonly SecurityObject[] = [],
): Promise<SecurityObjects> {
  const security = new SecurityObjects();
  for (const object of objects) {
    try {
      await security.add(object);
    } catch (error) {
      if (!(error instanceof ChannelError)) throw error;
      throw new UsageError(`--object ${object.id}: ${error.message}`, { cause: error });
    }
  }
  return security;
}

function addObject(
  text: string,
  before: readonly SecurityObject[] = [],
): readonly SecurityObject[] {
  try {
    return [...before, securityObjectOption(text)];
  } catch (error) {
    if (!(error instanceof QmpError)) throw error;
    throw new InvalidArgumentError(error.message);
  }
}

import type { SecurityObjects } from '@godwit/core';
import { splitOption } from '@godwit/qmp';
import { InvalidArgumentError } from 'commander';

import { UsageError } from './errors.ts';
import { checkAddress } from './option-values.ts';

const optionNames = ['tls-creds', 'tls-hostname', 'tls-authz', 'insecure'] as const;
type OptionName = (typeof optionNames)[number];

/** `--qmp ADDRESS[,tls-creds=ID][,…]`, taken apart. */
export interface QmpAddress {
  readonly address: string;
  readonly options: Readonly<Partial<Record<OptionName, string>>>;
}

/**
 * @param allowed of the options: a server has others than a client.
 * @throws {InvalidArgumentError} it is not one.
 */
export function parseQmpAddress(text: string, allowed: readonly OptionName[]): QmpAddress {
  const [address = '', ...pairs] = splitOption(text);
  checkAddress(address);
  const options: Partial<Record<OptionName, string>> = {};
  for (const pair of pairs) {
    const [, name = '', value = ''] = /^([^=]+)=(.*)$/s.exec(pair) ?? [];
    const known = allowed.find((it) => it === name);
    if (known === undefined) throw new InvalidArgumentError(`'${pair}' is no option of it`);
    if (known === 'insecure' && value !== 'on' && value !== 'off') {
      throw new InvalidArgumentError("insecure expects 'on' or 'off'");
    }
    options[known] = value;
  }
  return { address, options };
}

/** @returns the result of `find`. @throws {UsageError} the options name what is not there. */
export function named<Result>(
  security: SecurityObjects,
  find: (it: SecurityObjects) => Result,
): Result {
  try {
    return find(security);
  } catch (error) {
    throw new UsageError(`--qmp: ${(error as Error).message}`, { cause: error });
  }
}

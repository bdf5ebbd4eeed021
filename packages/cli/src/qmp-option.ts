import type { SecurityObject } from '@godwit/core';
import { QmpClient } from '@godwit/qmp';
import { type Command, InvalidArgumentError } from 'commander';

import { checkAddress } from './option-values.ts';
import { objectOption, securityObjects } from './object-option.ts';
import { named as findNamed, parseQmpAddress } from './qmp-address.ts';

export interface QmpOption {
  readonly object?: readonly SecurityObject[];
  /** `unix:PATH` or `tcp:HOST:PORT`. */
  readonly qmp: string;
}

/** `--qmp A`, which every command needs that drives a process. */
export function addQmpOption(command: Command): Command {
  return command
    .requiredOption(
      '--qmp <address>',
      'where the process answers QMP: unix:PATH or tcp:HOST:PORT[,tls-creds=ID][,tls-hostname=NAME]',
      checkQmp,
    )
    .addOption(objectOption());
}

export interface QmpOptions {
  /** One or two. */
  readonly qmp: readonly string[];
}

/** `--qmp A [--qmp B]`, for commands that look at both sides of a migration. */
export function addQmpOptions(command: Command, description: string): Command {
  return command.requiredOption('--qmp <address>', description, addAddress);
}

function addAddress(text: string, before: readonly string[] | undefined): readonly string[] {
  const addresses = [...(before ?? []), checkAddress(text)];
  if (addresses.length <= 2) return addresses;
  throw new InvalidArgumentError('a migration has two sides');
}

/** @throws {QmpSocketError} `ERR_CONNECT`, `ERR_TIMEOUT`, …: saying which address. */
export async function connectQmp(options: QmpOption): Promise<QmpClient> {
  const { address, options: named } = parseQmpAddress(options.qmp, clientOptions);
  const { 'tls-creds': credsId = '', 'tls-hostname': hostname = '' } = named;
  const objects = await securityObjects(options.object);
  const security = findNamed(objects, (it) => it.forDialling({ credsId, hostname }));
  return await QmpClient.connect(address, { security });
}

const clientOptions = ['tls-creds', 'tls-hostname'] as const;

function checkQmp(text: string): string {
  parseQmpAddress(text, clientOptions);
  return text;
}

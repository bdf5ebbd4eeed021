import { QmpClient } from '@godwit/qmp';
import { type Command, InvalidArgumentError } from 'commander';

import { checkAddress } from './option-values.ts';

export interface QmpOption {
  /** `unix:PATH` or `tcp:HOST:PORT`. */
  readonly qmp: string;
}

/** `--qmp A`, which every command needs that drives a process. */
export function addQmpOption(command: Command): Command {
  return command.requiredOption(
    '--qmp <address>',
    'where the process answers QMP: unix:PATH or tcp:HOST:PORT',
    checkAddress,
  );
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
  return await QmpClient.connect(options.qmp);
}
